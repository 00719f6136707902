"""Reading and writing files. A file is written under a temporary name and then renamed, so it is complete or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alterrec.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

CACHE = "ALTERREC_CACHE"  # environment variable
NOT_WRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def cache_folder() -> Path:
    """Holds what is downloaded or encoded once for all studies: $ALTERREC_CACHE, or the system's folder for caches."""
    from platformdirs import user_cache_path

    return Path(os.environ.get(CACHE) or user_cache_path("alterrec"))


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turn the error of a full or write-protected disk into a UserError that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        raise UserError(
            f"{path} cannot be written: {os.strerror(error.errno)}: make room there or permit writing, and give the same "
            "command again; it continues with what is not finished"
        ) from error


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`. Rename it to `path` on success, remove it on failure.

    UserError if the disk is full or write-protected.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.tmp{path.suffix}")
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def clear_partial(folder: Path, stem: str = "*") -> None:
    """Remove the temporary files that killed processes left in `folder`: all, or those of files of one `stem`."""
    for path in folder.glob(f".{stem}.*.tmp*"):
        path.unlink(missing_ok=True)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`, a file beside it; a kill releases it. UserError if another process holds it."""
    from filelock import FileLock, Timeout

    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"another process is writing into {folder}: wait for its end, or end it if the workflow that started it "
                "was killed"
            ) from None
    try:
        yield
    finally:
        lock.release()


def write_text(path: str | Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_parquet(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a pandas DataFrame. Equal frames give equal bytes."""
    with atomic(path) as temporary:
        frame.to_parquet(temporary, index=False, compression="zstd")


def file_checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
