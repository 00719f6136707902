"""Read members of .zip, .tar, .tar.gz and .tgz archives without unpacking anything to the disk.

Archives come from the internet and may be hostile. One suspicious member is enough to reject the whole archive.
"""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PureWindowsPath
from typing import BinaryIO, NamedTuple

from alterrec.errors import UserError, nearest

MAX_BYTES = 20 * 2**30  # of all members together, unpacked
MAX_RATIO = 1000  # of a zip member's unpacked size to its packed size ...
ALWAYS_ALLOWED_BYTES = 100 * 2**20  # ... which applies to members larger than this
ALLOWED_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MAX_PADDING = 2**20  # bytes after the last member of a tar archive
BAD_BYTES = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)
BAD_HEADERS = (
    *BAD_BYTES,
    OSError,
    ValueError,
    LookupError,
    RuntimeError,
    ArithmeticError,
)  # zipfile and tarfile raise all of these for corrupted headers, as fuzzing showed


class _Member(NamedTuple):
    name: str
    size: int  # bytes, unpacked
    is_folder: bool
    problem: str | None  # why the member is suspicious


def members(archive: Path, max_bytes: int = MAX_BYTES) -> list[str]:
    """The names of the files in `archive`, in its order. UserError as for `open_member`."""
    packed, names = _open(archive, max_bytes)
    with packed:
        return names


@contextmanager
def open_member(archive: Path, name: str, max_bytes: int = MAX_BYTES) -> Iterator[BinaryIO]:
    """The member `name` as a binary file, never longer than its header says.

    UserError if the archive or the member is missing, or if the archive is broken or truncated. UserError also if any
    member has a path outside the archive, is a link, a device or encrypted, or would unpack to too much: more than
    `max_bytes` for all members, or more than both 100 MiB and 1000 times its packed size for one zip member.
    """
    packed, names = _open(archive, max_bytes)
    with packed:
        if name not in names:
            examples = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            raise UserError(
                f"{archive} has no member {name!r}{nearest(name, names)}; its members: {examples}"
            )
        with _reading(archive, BAD_HEADERS):
            file = packed.open(name) if isinstance(packed, zipfile.ZipFile) else packed.extractfile(name)
        with file, _reading(archive, BAD_BYTES):
            yield file


@contextmanager
def _reading(archive: Path, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turn `errors` into a UserError that names the archive."""
    try:
        yield
    except errors as error:
        raise UserError(
            f"{archive} is broken, truncated or not an archive ({error}): delete it and download it again"
        ) from error


def _open(archive: Path, max_bytes: int) -> tuple[zipfile.ZipFile | tarfile.TarFile, list[str]]:
    """The open archive and the names of its files, after all its members passed the checks."""
    if not archive.is_file():
        raise UserError(f"there is no file {archive}: put it there, or correct the path")
    with ExitStack() as stack, _reading(archive, BAD_HEADERS):
        if archive.suffix == ".zip":
            packed = stack.enter_context(zipfile.ZipFile(archive))
            names = _checked_names(archive, map(_zip_member, packed.infolist()), max_bytes)
        else:
            mode = "r:gz" if archive.suffix in (".gz", ".tgz") else "r:"
            packed = stack.enter_context(tarfile.open(archive, mode))
            names = _checked_names(archive, map(_tar_member, packed), max_bytes)
            _check_end(packed)
        stack.pop_all()
    return packed, names


def _checked_names(archive: Path, found: Iterable[_Member], max_bytes: int) -> list[str]:
    names, total = [], 0
    for name, size, is_folder, problem in found:
        path = PureWindowsPath(name)  # splits at / and \ and knows drives
        total += size
        if path.anchor or ".." in path.parts:
            problem = "has a path outside the archive"
        elif total > max_bytes or size < 0:
            problem = f"makes the unpacked size exceed {max_bytes} bytes"
        if problem:
            raise UserError(
                f"{archive} is rejected: its member {name!r} {problem}: download the archive from its publisher again"
            )
        if not is_folder:
            names.append(name)
    return names


def _zip_member(info: zipfile.ZipInfo) -> _Member:
    problem = None
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        problem = "is a link or a device"
    elif info.flag_bits & 1:
        problem = "is encrypted"
    elif info.compress_type not in ALLOWED_COMPRESSION:
        problem = "is compressed by another method than deflate"
    elif info.file_size > max(ALWAYS_ALLOWED_BYTES, MAX_RATIO * info.compress_size):
        problem = f"would unpack to more than {MAX_RATIO} times its size"
    return _Member(info.filename, info.file_size, info.is_dir(), problem)


def _tar_member(info: tarfile.TarInfo) -> _Member:
    problem = None if info.isreg() or info.isdir() else "is a link or a device"
    return _Member(info.name, info.size, info.isdir(), problem)


def _check_end(packed: tarfile.TarFile) -> None:
    """Raise ReadError if the end is missing: tarfile takes a truncated or corrupted header for the end.

    Reading to the end also makes gzip compare its checksum.
    """
    packed.fileobj.seek(packed.offset)
    if packed.fileobj.read(MAX_PADDING)[: tarfile.BLOCKSIZE] != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("its end is missing")
