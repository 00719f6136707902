"""Run what is left of a study for a stated time, in several processes that share the machine's GPUs."""

import math
import os
import tarfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from statistics import mean

from alterrec.errors import UserError
from alterrec.gpu_places import visible_devices
from alterrec.runner.jobs import Job, unfinished
from alterrec.runner.study_jobs import cell_jobs, data_jobs
from alterrec.runner.tuning_jobs import tuning_jobs
from alterrec.runner.workers import DONE, FAILED, Worker
from alterrec.study.resolve import Study

LINES = 10  # of a failed job's log that are shown


def run_study(
    study: Study,
    results: Path,
    processes: int,
    minutes: float,
    models: list[str],
    seeds: list[int],
    pack: Path | None,
    tune: bool,
) -> bool:
    """Prepare the study's data and run the cells that are not finished; return whether nothing failed.

    With `tune`, run the trials of its tuning instead, which have no `seeds`. After `minutes` none starts, and those that
    train stop at the end of an epoch: a later call continues them. The files of everything that this call finishes are
    added to the tar archive `pack`, without weights; what would not end in time is then not started.
    """
    deadline, folder = time.time() + 60 * minutes, results / study.config.name
    require_whole(pack)
    os.environ.update(study.environment())
    if not Portion(data_jobs(study, folder), processes, math.inf).run():
        return False
    jobs = (
        tuning_jobs(study, folder, models, deadline)
        if tune
        else cell_jobs(study, folder, models, seeds, deadline)
    )
    portion = Portion(jobs, processes, deadline, pack, results.parent)
    succeeded = portion.run()
    print(portion.summary("trials" if tune else "cells"), flush=True)
    return succeeded


def require_whole(pack: Path | None) -> None:
    """UserError if an archive of this name is there to which nothing can be added, as a call that was killed leaves it."""
    if pack and pack.exists():
        try:
            tarfile.open(pack, "a").close()
        except tarfile.ReadError as error:
            raise UserError(
                f"{pack} is cut off or no tar archive ({error}): move it, or name another file"
            ) from None


class Portion:
    """Jobs that are run until all are done or until the deadline; what failed does not stop the others.

    The results of every job that is done are added to the tar archive `pack`, with their paths from the folder `root`.
    """

    def __init__(
        self,
        jobs: dict[str, Job],
        processes: int,
        deadline: float,
        pack: Path | None = None,
        root: Path = Path(),
    ):
        self.jobs, self.processes, self.deadline, self.pack, self.root = jobs, processes, deadline, pack, root
        self.begun, self.open = time.time(), unfinished(jobs)
        self.waiting = dict(self.open)  # not started yet
        self.gpus = visible_devices() or [None]
        self.seconds: dict[str, list[float]] = defaultdict(list)  # of the jobs of a kind that are done
        for job in jobs.values():
            if job.name not in self.open and job.seconds:
                self.seconds[job.kind].append(job.seconds())

    def run(self) -> bool:
        """Run the jobs; return whether none failed."""
        idle: list[Worker] = []
        busy: dict[Connection, Worker] = {}
        succeeded = True
        while True:
            while len(busy) < self.processes and (job := self.next_job()):
                worker = self.take_worker(idle, busy.values())
                worker.start(job)
                busy[worker.connection] = worker
            if not busy:
                break
            for connection in wait(busy):
                worker = busy.pop(connection)
                job, outcome, seconds = worker.finish()
                if worker.process.is_alive():
                    idle.append(worker)
                succeeded &= outcome != FAILED
                if outcome == DONE:
                    self.finished(job, seconds)
                print(f"{job.name}: {outcome} after {seconds:.0f} s", flush=True)
                if outcome == FAILED:
                    print_end(job.log)
        for worker in idle:
            worker.end()
        return succeeded

    def take_worker(self, idle: list[Worker], busy: Iterable[Worker]) -> Worker:
        """A worker of the GPU with the fewest busy ones: one of the `idle` ones, or a new one."""
        jobs = Counter(worker.gpu for worker in busy)
        gpu = min(self.gpus, key=lambda gpu: jobs[gpu])
        idle[:] = [worker for worker in idle if worker.process.is_alive()]
        for worker in idle:
            if worker.gpu == gpu:
                idle.remove(worker)
                return worker
        return Worker(gpu)

    def next_job(self) -> Job | None:
        """Take the job to start now: of the first turn, the one that takes longest. None after the deadline.

        Where results are packed, what a stopped job leaves behind is lost. So a job that on average takes longer than the
        time left is not started, unless it takes longer than a whole portion.
        """
        left, whole = self.deadline - time.time(), self.deadline - self.begun
        ready = [job for job in self.waiting.values() if not self.open.keys() & set(job.needs)]
        if self.pack:
            ready = [job for job in ready if not left < self.expected(job, unknown=0) <= whole]
        if not ready or left < 0:
            return None
        job = min(ready, key=lambda job: (job.turn, -self.expected(job, unknown=math.inf)))
        return self.waiting.pop(job.name)

    def finished(self, job: Job, seconds: float) -> None:
        del self.open[job.name]
        # a job that went on from a checkpoint took longer than it did in this portion
        self.seconds[job.kind].append(job.seconds() if job.seconds else seconds)
        if self.pack:
            self.pack.parent.mkdir(parents=True, exist_ok=True)
            with tarfile.open(self.pack, "a") as archive:
                for path in job.results:
                    archive.add(path, path.relative_to(self.root))

    def expected(self, job: Job, unknown: float) -> float:
        """The seconds that a job will take: the mean of its kind, `unknown` if none of its kind is done."""
        known = self.seconds.get(job.kind)
        return mean(known) if known else unknown

    def summary(self, noun: str) -> str:
        """How many jobs are done and how much time is left, at the speed of those so far. `noun` says what they are."""
        done = f"{len(self.jobs) - len(self.open)} of {len(self.jobs)} {noun} done"
        if not self.open:
            return done
        if not self.seconds:
            return f"{done}, no time measured yet"
        of_a_kind = mean(mean(seconds) for seconds in self.seconds.values())
        left = sum(self.expected(job, unknown=of_a_kind) for job in self.open.values())
        return f"{done}, about {math.ceil(left / self.processes / 60)} minutes left"


def print_end(log: Path) -> None:
    """Print the last lines of a failed job's log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
    print(*(f"    {line}" for line in [f"{log}:", *lines]), sep="\n", flush=True)
