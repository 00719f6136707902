"""What a run was made from: versions, machine, data, other runs and code. `verify` compares it with the present state."""

import json
import platform
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from alterrec import registry
from alterrec.errors import UserError
from alterrec.files import file_checksum, read_json
from alterrec.study.run_paths import DATA, RUN, TEXT, Cell, of_cell

PACKAGES = ("numpy", "pandas", "scipy", "torch", "pyarrow", "safetensors")
COMPLETE = "ranks.parquet"
"""The file that a run writes last: a run without it is not complete."""
RESULTS = ("top.parquet", "alpha.parquet", "history.parquet", "spec.json", "metrics.json", COMPLETE)
"""What a run writes beside its provenance and its weights."""
SUMMARY_ROWS = {"coverage": "coverage.parquet", "alpha": "alpha_curve.parquet"}
"""What a restored run has in place of its top lists and its grid of alpha: its rows of these tables of the summary."""
CHECKED = (*RESULTS, *SUMMARY_ROWS.values())
"""The files of a run whose checksums are compared before it counts as finished."""
WEIGHTS = "weights.safetensors"


def provenance(spec: dict, data: Path, run: Path, machine: dict) -> dict:
    """What the run of `spec` in the folder `run` is made from, on the prepared dataset in `data`, as plain JSON values.

    `machine` says what it is computed with (see alterrec/engine/device.py).
    """
    return inputs(spec, data, run) | {
        "versions": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": machine,
        "code": registry.model_code_hash(registry.model(spec["base"], spec["baselines"])),
    }


def inputs(spec: dict, data: Path, run: Path) -> dict:
    """sha256 of what the run reads: its dataset, its text vectors, and the ranks of the runs that it requires.

    None stands for a file that does not exist.
    """
    required = required_runs(registry.model(spec["base"], spec["baselines"]), run)
    return {
        "data": {name: checksum(data / name) for name in ("sessions.parquet", "items.parquet")},
        "text": checksum(data / TEXT.format(**spec)) if spec["encoder"] else None,
        "requires": {name: checksum(folder / COMPLETE) for name, folder in required.items()},
    }


def checksum(path: Path) -> str | None:
    return file_checksum(path) if path.is_file() else None


def required_runs(model: registry.Model, run: Path) -> dict[str, Path]:
    """The folders of the runs that `model` reads: those of the same dataset and seed as the folder `run`."""
    return {name: run.parent.parent / name / run.name for name in model.requires}


def damaged(run: Path, names: Iterable[str]) -> list[str]:
    """Those of the files `names` of a run that no longer have the checksum with which they were written.

    A file that is missing is not damaged. Older runs and those of other programs state no checksums.
    """
    stored = run / "provenance.json"
    written = read_json(stored).get("written", {}) if stored.is_file() else {}
    return [name for name in names if name in written and checksum(run / name) not in (None, written[name])]


def refuse_damaged(run: Path, *names: str) -> None:
    """UserError if one of the files `names` of a run is damaged."""
    for name in damaged(run, names):
        raise UserError(
            f"{run / name} is damaged, since its checksum is not the one in provenance.json: delete the folder of this "
            "run, so that it is trained or restored again"
        )


def environments(runs: Iterable[Path]) -> list[dict]:
    """The different versions and machines with which these runs were made, each with its number of runs.

    A run without provenance, which another program wrote by itself, is left out.
    """
    stored = (read_json(path) for run in runs if (path := run / "provenance.json").is_file())
    counts = Counter(
        json.dumps({key: one[key] for key in ("python", "versions", "machine")}, sort_keys=True)
        for one in stored
    )
    return [json.loads(environment) | {"runs": count} for environment, count in counts.items()]


def is_complete(run: Path) -> bool:
    """Whether the run wrote all of its files, whatever it was made from."""
    return (run / COMPLETE).is_file()


def missing_records(run: Path) -> list[str]:
    """Those files of a run that say what it was made from and are not there, for example after an incomplete copy."""
    return [name for name in ("spec.json", "provenance.json") if not (run / name).is_file()]


def is_finished(spec: dict, data: Path, run: Path) -> bool:
    """Whether the run is complete and undamaged and was made from this spec and from its inputs as they are.

    Its code may be older. Its weights are not looked at.
    """
    if not is_complete(run) or missing_records(run):
        return False
    if damaged(run, CHECKED) or read_json(run / "spec.json") != spec:
        return False
    return not changed_inputs(spec, data, run)


def changed_inputs(spec: dict, data: Path, run: Path) -> list[str]:
    """The keys of `inputs` whose values are no longer those that the stored run was made from."""
    stored = read_json(run / "provenance.json")
    return [name for name, present in inputs(spec, data, run).items() if stored.get(name) != present]


def verify(study, results: Path) -> list[str]:
    """One line for each run that is missing or damaged, or whose spec, inputs or code have changed since."""
    folder = results / study.config.name
    problems = [problem for cell in study.cells() for problem in run_problems(study, folder, cell)]
    for cell in study.cells():
        run = folder / of_cell(RUN, cell)
        problems += [f"{run}: its {name} is damaged" for name in damaged(run, (*CHECKED, WEIGHTS))]
    return problems


def run_problems(study, folder: Path, cell: Cell) -> list[str]:
    """One line for each thing that differs between a stored run and today's config, inputs and code.

    `folder` is the study's folder of results. A run of another program is checked if it states its provenance.
    """
    run, data = folder / of_cell(RUN, cell), folder / of_cell(DATA, cell)
    if study.model(cell[1]).external and not (run / "provenance.json").is_file():
        return []
    if not is_complete(run):
        return [f"{run}: the run is missing"]
    if missing := missing_records(run):
        return [f"{run}: its {name} is missing" for name in missing]
    spec, stored = study.spec(*cell), read_json(run / "provenance.json")
    present = provenance(spec, data, run, stored["machine"])
    changed = [key for key in ("data", "text", "requires", "code") if stored.get(key) != present[key]]
    problems = [f"{run}: its spec differs from the config"] if read_json(run / "spec.json") != spec else []
    return problems + [f"{run}: its {key} changed since it was made" for key in changed]
