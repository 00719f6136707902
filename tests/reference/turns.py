"""Programs that train in turns, each in a process of its own, so that both meet the same machine and share no settings."""

import hashlib
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator

import torch


class Program:
    """A generator of rows that runs in another process and works only while `next_row` waits for it."""

    def __init__(self, epochs: Callable[..., Iterator[dict]], *arguments):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=answer, args=(other, epochs, *arguments), daemon=True)
        self.process.start()
        other.close()

    def next_row(self) -> dict | None:
        """The generator's next row; None at its end. EOFError if the process failed."""
        self.connection.send(True)
        return self.connection.recv()

    def end(self) -> None:
        self.process.terminate()
        self.process.join()


def answer(connection, epochs: Callable[..., Iterator[dict]], *arguments) -> None:
    """Send the next row of `epochs(*arguments)` for every message that arrives."""
    rows = epochs(*arguments)
    while connection.recv():
        connection.send(next(rows, None))


class Stopwatch:
    """`seconds` of a with-block: wall-clock time, and user and system time of this process, the GPU's work included."""

    def __enter__(self):
        self.started = self.times()
        return self

    def __exit__(self, *exception):
        wall, processor = (now - then for now, then in zip(self.times(), self.started, strict=True))
        self.seconds = {"seconds": wall, "processor_seconds": processor}

    @staticmethod
    def times() -> tuple[float, float]:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()


def fingerprint(lines: Iterable[list[str]]) -> str:
    """A checksum of lists of words, whatever their order."""
    return hashlib.sha256("\n".join(sorted(map(" ".join, lines))).encode()).hexdigest()
