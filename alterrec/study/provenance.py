"""What a run was made from: versions, machine, data and code. `verify` compares it with the present state."""

import platform
from importlib.metadata import version
from pathlib import Path

from alterrec import registry
from alterrec.files import file_checksum, read_json

PACKAGES = ("numpy", "pandas", "scipy", "torch", "pyarrow", "safetensors")


def provenance(spec: dict, data: Path, machine: dict) -> dict:
    """What the run of `spec` on the prepared dataset in `data` is made from, as plain JSON values.

    `machine` says what it is computed with (see alterrec/engine/device.py).
    """
    return {
        "versions": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": machine,
        "data": data_checksums(data),
        "text": file_checksum(data / "text" / f"{spec['encoder']}.safetensors") if spec["encoder"] else None,
        "code": registry.model_code_hash(registry.model(spec["base"], spec["baselines"])),
    }


def data_checksums(folder: Path) -> dict[str, str]:
    """sha256 of the files of a prepared dataset."""
    return {name: file_checksum(folder / name) for name in ("sessions.parquet", "items.parquet")}


def verify(study, results: Path) -> list[str]:
    """One line for each run that is missing or whose spec, data, text vectors or code have changed since."""
    folder = results / study.config.name
    problems = []
    for dataset, model, seed in study.cells():
        if study.model(model).external:
            continue
        run, data = folder / "runs" / dataset / model / f"seed-{seed}", folder / "data" / dataset
        if not (run / "provenance.json").is_file():
            problems.append(f"{run}: the run is missing")
            continue
        spec, stored = study.spec(dataset, model, seed), read_json(run / "provenance.json")
        present = provenance(spec, data, stored["machine"])
        if read_json(run / "spec.json") != spec:
            problems.append(f"{run}: its spec differs from the config")
        changed = [key for key in ("data", "text", "code") if stored[key] != present[key]]
        problems += [f"{run}: its {key} changed since it was made" for key in changed]
    return problems
