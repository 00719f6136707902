"""Files from elsewhere: from a mirror, from the cache, or downloaded, checked and kept in the cache."""

from __future__ import annotations

import logging
import os
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from alterrec.errors import UserError
from alterrec.files import CACHE, cache_folder, file_checksum, write_text

logger = logging.getLogger(__name__)

MIRROR = "ALTERREC_MIRROR"  # a folder or an http(s) address that has every file under its `path`
GDRIVE = "gdrive:"
WAITS = (1, 4, 16)  # seconds before each further attempt
TIMEOUT = 30  # seconds without a byte


@dataclass(frozen=True)
class Download:
    """One file of a source: `path` names it in a mirror and in the cache, such as movielens/ml-1m.zip.

    `url` is its address (https://..., or gdrive:FILE_ID), None where only the user can get it; `sha256` is its
    checksum where that is known in advance; `by_hand` says how to get it otherwise.
    """

    path: str
    url: str | None
    sha256: str | None = None
    by_hand: str = ""


class _Failed(Exception):
    """Why no file came, for the user to read."""


def fetch(download: Download) -> Path:
    """The file, read-only, from the mirror, the cache or its address. UserError says what failed and what to do.

    A mirror that is a folder, by its path or its file:// address, is used in place. One with an http(s) address is
    asked in place of the file's own for what is not in the cache. Every call checks the sha256: the one known in
    advance, or else the first download's, which is kept beside the file in NAME.sha256, as sha256sum writes it.
    """
    mirror = os.environ.get(MIRROR, "")
    folder = _folder(mirror) if mirror else None
    if folder:
        return _checked(_of_mirror(folder, download), download, "put the right one there")
    cached = cache_folder() / download.path
    if not cached.is_file():
        try:
            _download(download, mirror, cached)
        except OSError as error:
            raise UserError(
                f"{cached} cannot be written ({error}): make room, or name another folder in {CACHE}"
            ) from error
    return _checked(cached, download, "delete it to have it fetched again")


def _folder(mirror: str) -> Path | None:
    """The folder that `mirror` names by its path or its file:// address; None for an http(s) address."""
    if "://" not in mirror:
        return Path(mirror).expanduser()
    try:
        parts = urlsplit(mirror)
    except ValueError:
        raise UserError("mirror: its address is malformed: correct `mirror:` in the config") from None
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(url2pathname(parts.path))
    if parts.scheme not in ("http", "https"):
        raise UserError(f"mirror: {_shown(mirror)}: name a folder, or an address with http, https or file://")
    return None


def _of_mirror(folder: Path, download: Download) -> Path:
    if not folder.is_dir():
        raise UserError(f"mirror: there is no folder {folder}: correct `mirror:` in the config, or unset it")
    path = folder / download.path
    if not path.is_file():
        raise UserError(
            f"the mirror {folder} has no {download.path}: put it there, or unset `mirror:` in the config"
        )
    return path


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _expected(path: Path, download: Download) -> str | None:
    """The checksum known in advance, or else the one recorded beside `path`."""
    if download.sha256 or not _record(path).is_file():
        return download.sha256
    return _record(path).read_text(encoding="utf-8").partition(" ")[0].strip()


def _checked(path: Path, download: Download, remedy: str) -> Path:
    """`path`. UserError where its checksum is not the expected one."""
    expected = _expected(path, download)
    found = file_checksum(path) if expected else None
    if found != expected:
        raise UserError(
            f"{path} is damaged or another version: its sha256 is {found}, not {expected}: "
            f"{remedy}{_or_accept(path, download)}"
        )
    return path


def _or_accept(path: Path, download: Download) -> str:
    return "" if download.sha256 else f", or delete {_record(path)} to accept the other version"


def _download(download: Download, mirror: str, cached: Path) -> None:
    """Fill `cached`, once however many processes want it."""
    import pooch
    from filelock import FileLock

    pooch.get_logger().disabled = True  # it prints addresses, which may hold a password
    url = _joined(mirror, download.path) if mirror else download.url
    remedy = _remedy(download, mirror, cached)
    if url is None:
        raise UserError(f"{download.path} has no address to be downloaded from: {remedy}")
    by = partial(_gdrive if url.startswith(GDRIVE) else _http, part=cached.with_name(f"{cached.name}.part"))
    cached.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{cached}.lock"):
        expected = _expected(cached, download)
        try:
            pooch.retrieve(url, expected, cached.name, cached.parent, downloader=by)
        except _Failed as error:
            raise UserError(f"{download.path} cannot be had from {_shown(url)} ({error}): {remedy}") from None
        except ValueError as error:  # pooch's, which names both checksums
            accept = _or_accept(cached, download)
            raise UserError(f"{_shown(url)} gave another file ({error}): {remedy}{accept}") from None
        if not expected:
            write_text(_record(cached), f"{file_checksum(cached)}  {cached.name}\n")


def _remedy(download: Download, mirror: str, cached: Path) -> str:
    if mirror:
        return "put the right file there, or unset `mirror:` in the config"
    by_hand = download.by_hand or "try again later, or get it by hand"
    return f"{by_hand}; put it at {cached}, or name a `mirror:` in the config that has it"


def _joined(mirror: str, path: str) -> str:
    parts = urlsplit(mirror)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{quote(path)}").geturl()


def _shown(url: str) -> str:
    """`url` without what may be secret: user, password and query."""
    parts = urlsplit(url)
    query = "..." if parts.query else ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query, fragment="").geturl()


def _gdrive(url: str, output: str, _pooch, part: Path) -> None:
    """A downloader for pooch: a file that Google Drive shares with everyone. gdown keeps its own parts."""
    import gdown
    from gdown.exceptions import DownloadError
    from requests import RequestException

    whole = f"{part}.gdrive"
    options = {"quiet": not os.isatty(2), "resume": True, "timeout": TIMEOUT, "retries": len(WAITS)}
    try:
        gdown.download(id=url.removeprefix(GDRIVE), output=whole, **options)
    except (DownloadError, RequestException) as error:
        raise _Failed(" ".join(str(error).split())) from None
    os.replace(whole, output)


def _http(url: str, output: str, _pooch, part: Path) -> None:
    """A downloader for pooch that tries again and goes on where `part`, kept after a failure, ends."""
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    for wait in (*WAITS, None):
        try:
            _transfer(url, part)
            break
        except (RequestException, HTTPError) as error:
            if wait is None or not _passing(error):
                raise _Failed(_reason(error)) from None
            logger.info("%s: %s; again in %g s", _shown(url), _reason(error), wait)
            time.sleep(wait)
    os.replace(part, output)
    _tag_file(part).unlink(missing_ok=True)


def _passing(error: Exception) -> bool:
    """May it be otherwise the next time?"""
    response = getattr(error, "response", None)
    if response is None:
        return not isinstance(error, ValueError)  # requests' for a malformed address
    return response.status_code >= 500 or response.status_code in (408, 429)


def _reason(error: Exception) -> str:
    import requests
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    match error:
        case requests.HTTPError():
            return f"HTTP {error.response.status_code} {error.response.reason}"
        case requests.Timeout() | ReadTimeoutError():
            return f"nothing came for {TIMEOUT} s"
        case requests.exceptions.SSLError():
            return "its certificate is not trusted"
        case requests.ConnectionError():
            return "no connection: is there a network?"
        case HTTPError():
            return "the connection broke off before the end"
        case _:
            return type(error).__name__


def _transfer(url: str, part: Path) -> None:
    """Write the body of `url` to `part`, or what `part` lacks if the server still has the same version."""
    import requests
    from urllib3.exceptions import ProtocolError

    tag = _tag_file(part).read_text(encoding="utf-8") if _tag_file(part).is_file() else ""
    start = part.stat().st_size if tag and part.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": tag}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code in (206, 416) and not _continues(response, start, tag):
            part.unlink(missing_ok=True)
            raise ProtocolError("another range or version: from the start")
        response.raise_for_status()
        if "text/html" in response.headers.get("Content-Type", ""):
            raise _Failed("a web page came instead")
        if response.status_code != 206:
            part.unlink(missing_ok=True)
            write_text(_tag_file(part), _tag(response))
        _append(response.raw, part)


def _tag_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.tag")


def _tag(response) -> str:
    """What tells this version of a file from others in an If-Range header, "" where the server says nothing."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _continues(response, start: int, tag: str) -> bool:
    after = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return start > 0 and after and _tag(response) == tag


def _append(body, part: Path) -> None:
    """The bytes as they are sent. urllib3's ProtocolError where fewer come than Content-Length says."""
    from tqdm import tqdm

    body.enforce_content_length = True
    with part.open("ab") as file:
        start = file.tell()
        total = None if body.length_remaining is None else start + body.length_remaining
        bar = {"total": total, "initial": start, "desc": part.stem, "disable": None}
        with tqdm.wrapattr(body, "read", **bar) as counted:
            shutil.copyfileobj(counted, file)
