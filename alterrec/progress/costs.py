"""What the runs of a study cost, as its finished runs measured it or, before the first run, as a reference study did."""

import csv
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from alterrec.files import read_json
from alterrec.registry import PACKAGE
from alterrec.study.processors import processors
from alterrec.study.provenance import COMPLETE
from alterrec.study.resolve import Study

REFERENCE = PACKAGE.parent / "results" / "reference"
START_SECONDS = 4.0
"""How long a job starts before its run's own seconds begin: `random` on the demo's data takes 1 s and its job 5 s."""


@dataclass(frozen=True)
class Cost:
    """Seconds, largest memory in MB and size in MB of one job; None for what was not measured."""

    seconds: float | None
    memory: float | None = None
    disk: float | None = None


@dataclass(frozen=True)
class Costs:
    """The measured costs: `runs` by (dataset, model), one per seed, and `others` of all jobs that are no runs."""

    runs: dict[tuple[str, str], list[Cost]]
    others: list[Cost]
    origin: Path | None

    def mean(self, dataset: str, model: str, quantity: str) -> float | None:
        """The mean over seeds of "seconds", "memory" or "disk"; None if it was not measured."""
        costs = self.runs.get((dataset, model), [])
        values = [value for cost in costs if (value := getattr(cost, quantity)) is not None]
        return fmean(values) if values else None


def measured_costs(study: Study, results: Path) -> Costs:
    """The costs of the study's finished runs, else of the reference study of its name, else none."""
    folder, record = results / study.config.name, REFERENCE / study.config.name / "runs.csv"
    if runs := finished_runs(folder):
        return Costs(runs, [benchmark(path) for path in other_benchmarks(folder)], folder)
    if record.is_file():
        return Costs(reference_runs(record), [], record)
    return Costs({}, [], None)


def finished_runs(folder: Path) -> dict[tuple[str, str], list[Cost]]:
    """The costs of the runs of a study: from the workflow's benchmarks, else the seconds that a run itself measured.

    The seconds are unknown where another program trained the model and nobody said for how long.
    """
    runs: dict[tuple[str, str], list[Cost]] = {}
    for path in sorted(folder.glob(f"runs/*/*/*/{COMPLETE}")):
        run, stated = path.parent, path.with_name("metrics.json")
        dataset, model, seed = run.relative_to(folder / "runs").parts
        measured = folder / "benchmarks" / "train" / dataset / model / f"{seed}.tsv"
        with suppress(FileNotFoundError):  # of a run that is being made again, or that has nothing but ranks
            cost = benchmark(measured) if measured.is_file() else Cost(read_json(stated).get("seconds"))
            runs.setdefault((dataset, model), []).append(replace(cost, disk=size(run)))
    return runs


def benchmark(path: Path) -> Cost:
    """The cost in a benchmark file of Snakemake, which has "NA" or "-" for the memory of a very short job."""
    with path.open(encoding="utf-8") as file:
        row = next(csv.DictReader(file, delimiter="\t"))
    memory = row["max_rss"]
    return Cost(float(row["s"]), float(memory) if memory not in ("NA", "-") else None)


def other_benchmarks(folder: Path) -> Iterator[Path]:
    """The benchmark files of the jobs that `snakemake all` starts beside the runs."""
    for path in sorted(folder.glob("benchmarks/**/*.tsv")):
        if path.relative_to(folder / "benchmarks").parts[0] not in ("train", "tune"):
            yield path


def reference_runs(record: Path) -> dict[tuple[str, str], list[Cost]]:
    """The seconds that jobs of the runs in a reference study's record would take."""
    runs: dict[tuple[str, str], list[Cost]] = {}
    with record.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["seconds"]:
                cost = Cost(START_SECONDS + float(row["seconds"]))
                runs.setdefault((row["dataset"], row["model"]), []).append(cost)
    return runs


def size(folder: Path) -> float:
    """The size in MB of the files of a folder."""
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6


def jobs_at_once() -> int:
    """How many jobs the workflow runs at once on this machine: one for each physical processor that it may use."""
    return processors()


def duration(seconds: float) -> str:
    """A duration in a unit that suits it: "40 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
