"""Worker processes: each imports its libraries once and then runs jobs one after another."""

import gc
import logging
import multiprocessing
import os
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from alterrec.errors import Stopped, UserError
from alterrec.gpu_places import VISIBLE
from alterrec.runner.jobs import Job

DONE, STOPPED, FAILED = "done", "stopped", "failed"


class Worker:
    """A process of its own and the job that it is running. A job that crashes ends its own worker only.

    The process sees the GPU `gpu` only, or what its parent sees if that is None.
    """

    def __init__(self, gpu: str | None = None):
        self.gpu = gpu
        context = multiprocessing.get_context("spawn")  # a forked process cannot use a GPU
        self.connection, others_end = context.Pipe()
        self.process = context.Process(target=serve, args=(others_end, gpu), daemon=True)
        self.process.start()
        others_end.close()
        self.job: Job | None = None

    def start(self, job: Job) -> None:
        self.job, self.started = job, time.perf_counter()
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.log.write_bytes(b"")  # an older log says nothing of a process that dies before it opens its own
        with suppress(ConnectionError):  # `finish` says how a dead process ended
            self.connection.send((job.function, job.arguments, job.log))

    def finish(self) -> tuple[Job, str, float]:
        """The job that has ended, how it ended (DONE, STOPPED or FAILED), and its seconds."""
        try:
            outcome = self.connection.recv()
        except (EOFError, ConnectionError):  # the second if it died before it read the job
            self.process.join()
            with self.job.log.open("a") as log:
                print(f"the process of this job ended with exit code {self.process.exitcode}", file=log)
            outcome = FAILED
        job, self.job = self.job, None
        return job, outcome, time.perf_counter() - self.started

    def end(self) -> None:
        """End the process, which has no job."""
        with suppress(ConnectionError):  # it may have been killed
            self.connection.send(None)
        self.process.join()


def serve(connection: Connection, gpu: str | None) -> None:
    """Run the jobs that arrive, until None arrives or the process that sends them ends."""
    if gpu is not None:
        os.environ[VISIBLE] = gpu
    threading.Thread(target=end_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for function, arguments, log in iter(connection.recv, None):
        connection.send(run(function, arguments, log))


def end_with_parent() -> None:
    """End this process as soon as its parent has ended, also if that was killed: a second runner may follow at once."""
    multiprocessing.parent_process().join()
    os._exit(1)


def run(function, arguments: tuple, log: Path) -> str:
    """Call the function with everything that the process prints in `log`; return how it ended.

    Any other error ends the process, since a device may be unusable for it afterwards.
    """
    print_into(log)
    try:
        function(*arguments)
        return DONE
    except Stopped as reason:
        print(reason, file=sys.stderr)
        return STOPPED
    except UserError as error:
        print(f"alterrec: {error}", file=sys.stderr)
        return FAILED
    finally:
        sys.stderr.flush()
        gc.collect()  # a model and its graphs refer to each other, and the next job needs their memory


def print_into(log: Path) -> None:
    """Redirect standard output and standard error of this process, with those of its libraries, into a new file."""
    sys.stdout.flush()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
