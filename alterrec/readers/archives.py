"""Members of .zip, .tar, .tar.gz and .tgz archives, read without unpacking anything to the disk.

An archive is taken as written by someone who means harm: one odd member and the whole is refused.
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

LIMIT = 20 * 2**30  # bytes
RATIO, RATIO_FROM = 1000, 100 * 2**20
DEFLATE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
PADDING = 2**20  # bytes after a tar archive's last member, at most
BAD_BYTES = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)
BAD_HEADERS = (
    *BAD_BYTES,
    OSError,
    ValueError,
    LookupError,
    RuntimeError,
    ArithmeticError,
)  # what fuzzing brings


class _Member(NamedTuple):
    name: str
    size: int
    folder: bool
    oddity: str | None


def members(archive: Path, limit: int = LIMIT) -> list[str]:
    """Names of the files in `archive`, in its order. UserError as for `open_member`."""
    packed, names = _open(archive, limit)
    with packed:
        return names


@contextmanager
def open_member(archive: Path, name: str, limit: int = LIMIT) -> Iterator[BinaryIO]:
    """The bytes of the member `name`, never more than its header says.

    UserError where there is no such archive or member, where the archive is broken or cut short, and where any
    member has a path out of the archive, is a link, a device or encrypted, or would unpack beyond measure: all of
    them to more than `limit` bytes, or one of a zip archive to over 100 MiB and 1000 times its packed size.
    """
    packed, names = _open(archive, limit)
    with packed:
        if name not in names:
            some = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            raise UserError(f"{archive} has no member {name!r}{nearest(name, names)}; its members: {some}")
        with _unbroken(archive, BAD_HEADERS):
            file = packed.open(name) if isinstance(packed, zipfile.ZipFile) else packed.extractfile(name)
        with file, _unbroken(archive, BAD_BYTES):
            yield file


@contextmanager
def _unbroken(archive: Path, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise UserError(
            f"{archive} is no such archive, broken or cut short ({error}): delete it and fetch it again"
        ) from error


def _open(archive: Path, limit: int) -> tuple[zipfile.ZipFile | tarfile.TarFile, list[str]]:
    """The archive and the names of its files, all of whose members have passed the checks."""
    if not archive.is_file():
        raise UserError(f"there is no file {archive}")
    with ExitStack() as stack, _unbroken(archive, BAD_HEADERS):
        if archive.suffix == ".zip":
            packed = stack.enter_context(zipfile.ZipFile(archive))
            names = _checked(archive, map(_of_zip, packed.infolist()), limit)
        else:
            mode = "r:gz" if archive.suffix in (".gz", ".tgz") else "r:"
            packed = stack.enter_context(tarfile.open(archive, mode))
            names = _checked(archive, map(_of_tar, packed), limit)
            _check_end(packed)
        stack.pop_all()
    return packed, names


def _checked(archive: Path, found: Iterable[_Member], limit: int) -> list[str]:
    names, total = [], 0
    for name, size, folder, oddity in found:
        path = PureWindowsPath(name)  # it takes / and \ for separators, and knows drives
        total += size
        if path.anchor or ".." in path.parts:
            oddity = "has a path out of the archive"
        elif total > limit or size < 0:
            oddity = f"brings what it would unpack to over {limit} bytes"
        if oddity:
            raise UserError(
                f"{archive} is refused: its member {name!r} {oddity}: get the archive from its publisher again"
            )
        if not folder:
            names.append(name)
    return names


def _of_zip(info: zipfile.ZipInfo) -> _Member:
    oddity = None
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        oddity = "is a link or a device"
    elif info.flag_bits & 1:
        oddity = "is encrypted"
    elif info.compress_type not in DEFLATE:
        oddity = "is packed by another method than deflate"
    elif info.file_size > max(RATIO_FROM, RATIO * info.compress_size):
        oddity = f"would unpack to more than {RATIO} times its size"
    return _Member(info.filename, info.file_size, info.is_dir(), oddity)


def _of_tar(info: tarfile.TarInfo) -> _Member:
    oddity = None if info.isreg() or info.isdir() else "is a link or a device"
    return _Member(info.name, info.size, info.isdir(), oddity)


def _check_end(packed: tarfile.TarFile) -> None:
    """tarfile takes a cut or spoilt header for the end; reading on has gzip compare its checksum."""
    packed.fileobj.seek(packed.offset)
    if packed.fileobj.read(PADDING)[: tarfile.BLOCKSIZE] != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("its end is missing")
