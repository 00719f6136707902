"""What the workflow shows on the screen: a line for each finished run. Snakemake's log file keeps every detail."""

import logging
import time
from pathlib import Path
from statistics import fmean

from snakemake_interface_logger_plugins.common import LogEvent

from alterrec.files import read_json
from alterrec.progress.costs import Cost, benchmark, duration, measured_costs
from alterrec.study.resolve import Study
from alterrec.study.run_paths import BENCHMARK, NAME, RUN, Cell, of_cell

HIDDEN_EVENTS = {
    LogEvent.WORKFLOW_STARTED,
    LogEvent.RESOURCES_INFO,
    LogEvent.RUN_INFO,
    LogEvent.JOB_STARTED,
    LogEvent.JOB_INFO,
    LogEvent.GROUP_INFO,
    LogEvent.SHELLCMD,
    LogEvent.JOB_FINISHED,
}
HIDDEN_MESSAGES = {"Select jobs to execute..."}


def is_shown(record: logging.LogRecord) -> bool:
    """Whether the screen shows a message of Snakemake: errors and the number of finished steps, but no block per job."""
    return getattr(record, "event", None) not in HIDDEN_EVENTS and record.msg not in HIDDEN_MESSAGES


def is_no_step(record: logging.LogRecord) -> bool:
    """Whether a message is another one than "12 of 89 steps done", for a workflow that shows its runs instead."""
    return getattr(record, "event", None) != LogEvent.PROGRESS


class RunLines(logging.StreamHandler):
    """Writes a line for each run that Snakemake reports as finished.

    `jobs` maps the ids of Snakemake's jobs to the cells that they run, in a study whose results lie in `folder`.
    """

    def __init__(self, study: Study, folder: Path, jobs: dict[int, Cell]):
        super().__init__()
        self.folder, self.jobs, self.done = folder, jobs, []
        costs = measured_costs(study, folder.parent)
        seconds = {cell: costs.mean(*cell[:2], "seconds") for cell in jobs.values()}
        usual = fmean([value for value in seconds.values() if value] or [1])
        self.expected = {cell: value or usual for cell, value in seconds.items()}
        self.addFilter(lambda record: getattr(record, "job_id", None) in jobs)

    def format(self, record: logging.LogRecord) -> str:
        cell = self.jobs[record.job_id]
        cost = run_cost(self.folder, cell)
        if not self.done:
            self.started = time.monotonic() - (cost.seconds if cost else 0)
        self.done.append(cell)
        facts = [
            *hits(self.folder, cell),
            *([duration(cost.seconds)] if cost else []),
            *([f"about {duration(self.seconds_left())} left"] if len(self.done) < len(self.jobs) else []),
        ]
        return (
            f"[{len(self.done)} of {len(self.jobs)}] {of_cell(NAME, cell)}: {', '.join(facts) or 'finished'}"
        )

    def seconds_left(self) -> float:
        """The time since the first run began, in proportion to the expected cost of the runs that are left."""
        total, done = sum(self.expected.values()), sum(self.expected[cell] for cell in self.done)
        return (time.monotonic() - self.started) * (total - done) / done


def run_cost(folder: Path, cell: Cell) -> Cost | None:
    """What a finished run cost; None for the run of another program that has no benchmark."""
    path = folder / of_cell(BENCHMARK, cell)
    return benchmark(path) if path.is_file() else None


def hits(folder: Path, cell: Cell) -> list[str]:
    """The test Hits@20 of a run in percent; nothing for the run of another program."""
    path = folder / of_cell(RUN, cell) / "metrics.json"
    return [f"Hits@20 {100 * read_json(path)['test']['Hits@20']:.2f}"] if path.is_file() else []
