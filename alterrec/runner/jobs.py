"""A job: one piece of work that a process does on its own, and which jobs of a list are still to be run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """A call of `function` in a worker process, with what it prints in the file `log`.

    `done` says whether its results are there and up to date, `seconds` how long it then took, if this is known. `needs` names
    the jobs whose `product` it reads. `kind` is common to jobs that take about the same time. Jobs of a lower `turn` start
    first. `results` are the files to carry back from the machine.
    """

    name: str
    kind: str
    function: Callable
    arguments: tuple
    log: Path
    done: Callable[[], bool]
    product: Path
    needs: tuple[str, ...] = ()
    turn: int = 0
    seconds: Callable[[], float] | None = None
    results: tuple[Path, ...] = ()


def unfinished(jobs: dict[str, Job]) -> dict[str, Job]:
    """The jobs that must run: those that are not done, those whose product one of them lacks, and all that read these."""
    found = {name for name, job in jobs.items() if not job.done()}
    while True:
        lacking = {
            need
            for name in found
            for need in jobs[name].needs
            if need not in found and not jobs[need].product.is_file()
        }
        outdated = {name for name, job in jobs.items() if found & set(job.needs)} - found
        if not lacking | outdated:
            return {name: job for name, job in jobs.items() if name in found}
        found |= lacking | outdated
