"""`alterrec status`: which runs of a study are done, running, failed, stale or waiting, and when it will be finished."""

import re
import shlex
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import psutil

from alterrec.progress.costs import Costs, duration, jobs_at_once, measured_costs
from alterrec.study.provenance import COMPLETE, is_complete, run_problems
from alterrec.study.resolve import Study
from alterrec.study.run_paths import LOG, NAME, RUN, Cell, of_cell

STATES = ("done", "running", "failed", "stale", "waiting")
ERROR = re.compile(r"(alterrec: |[\w.]*(Error|Exception|Interrupt|Exit)\b)")
TRAINS = re.compile(r"snakemake|alterrec cells")


def status(study: Study, results: Path, config: str) -> str:
    """Lines on the number of runs in each state, the time left, the running and failed runs, and the stale ones.

    `config` is the path of the config, for the command that runs a failed cell again.
    """
    working = trained_here()
    states = {cell: cell_state(study, results, cell, working) for cell in study.cells()}
    counts = Counter(state for state, _ in states.values())
    numbers = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    lines = [f"{study.config.name}: {len(states)} runs: {numbers}"]
    if left := [cell for cell, (state, _) in states.items() if state in ("running", "failed", "waiting")]:
        lines.append(time_left(left, measured_costs(study, results), counts["running"]))
    lines += [f"running: {of_cell(NAME, cell)}" for cell, (state, _) in states.items() if state == "running"]
    lines += [
        f"failed: {of_cell(NAME, cell)}: {note} | {rerun(study, results, cell, config)}"
        for cell, (state, note) in states.items()
        if state == "failed"
    ]
    reasons = Counter(note for state, note in states.values() if state == "stale")
    lines += [f"stale ({count}): {reason}" for reason, count in reasons.items()]
    if reasons:
        again = shlex.join(
            ["snakemake", "--cores", "8", "all", "--configfile", config, "--forcerun", "train"]
        )
        lines.append(f"Train stale runs again: {again}")
    return "\n".join(lines)


def cell_state(study: Study, results: Path, cell: Cell, working: bool) -> tuple[str, str]:
    """A state of `STATES`, and what is to be said of it: why a run is stale, or the last line of a failed run's log.

    `working` says whether anything trains here: a cell that has begun then counts as running unless its log ends in an
    error. So cells that a cluster runs on other machines are seen too.
    """
    folder = results / study.config.name
    if is_complete(folder / of_cell(RUN, cell)):
        problems = run_problems(study, folder, cell)
        return ("stale", problems[0].partition(": ")[2]) if problems else ("done", "")
    log = folder / of_cell(LOG, cell)
    if not log.is_file():
        return "waiting", ""
    last = last_line(log)
    if working and not ERROR.match(last):
        return "running", ""
    return "failed", last if ERROR.match(last) else f"it was stopped after: {last or '(nothing)'}"


def last_line(log: Path) -> str:
    """The last line of a log that is not empty."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def trained_here() -> bool:
    """Whether a process of Snakemake or of `alterrec cells` has the current folder as its working directory."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        command = " ".join((process.info["cmdline"] or [])[:4])
        if process.info["cwd"] == str(Path.cwd()) and TRAINS.search(command):
            return True
    return False


def time_left(left: list[Cell], costs: Costs, running: int) -> str:
    """A sentence on the time until every run of `left` is done, with as many runs at once as are running now."""
    seconds = [costs.mean(dataset, model, "seconds") for dataset, model, _ in left]
    known = [value for value in seconds if value is not None]
    if not known:
        return "The time left is not known: no run of these models was measured yet."
    at_once = running or jobs_at_once()
    remaining = sum(known) / at_once
    end = datetime.now() + timedelta(seconds=remaining)
    unknown = len(seconds) - len(known)
    besides = f", and the time of {unknown} runs of models that were not measured yet" if unknown else ""
    return (
        f"About {duration(remaining)} left, until {end:%a %H:%M} if it runs now, with {at_once} at once, from "
        f"{costs.origin}{besides}"
    )


def rerun(study: Study, results: Path, cell: Cell, config: str) -> str:
    """The command that runs a cell again."""
    target = results / study.config.name / of_cell(RUN, cell) / COMPLETE
    return shlex.join(["snakemake", "--cores", "1", str(target), "--configfile", config])
