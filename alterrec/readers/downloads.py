"""Get the files of a source: from a mirror, from the cache, or by a download that is checked and kept in the cache."""

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

MIRROR = "ALTERREC_MIRROR"  # a folder, or an http(s) address, that has every file under `Download.path`
GDRIVE = "gdrive:"
WAITS = (1, 4, 16)  # seconds before each new attempt
TIMEOUT = 30  # seconds without receiving a byte


@dataclass(frozen=True)
class Download:
    """One file of a source. `path` is its place in a mirror and in the cache, such as movielens/ml-1m.zip.

    `url` is its address (https://... or gdrive:FILE_ID), or None if only the user can download it. `sha256` is its
    checksum if it is known in advance. `by_hand` tells the user how to get the file if the download fails.
    """

    path: str
    url: str | None
    sha256: str | None = None
    by_hand: str = ""


class _Failed(Exception):
    """A failed download. Its text gives the reason to the user."""


def fetch(download: Download) -> Path:
    """The path of the file, which callers must not change. UserError says what failed and what to do.

    If the mirror is a folder, given by its path or its file:// address, the file is used there, without a copy. If the
    mirror has an http(s) address, files that the cache lacks are downloaded from it instead of from `url`. Every call
    checks the sha256. If it is not known in advance, the checksum of the first download counts; it is stored beside the
    file as NAME.sha256, in the format of sha256sum.
    """
    if folder := mirror_folder():
        return _checked(_in_folder(folder, download), download, "put the right file there")
    cached = cache_folder() / download.path
    if not cached.is_file():
        try:
            _download(download, os.environ.get(MIRROR, ""), cached)
        except OSError as error:
            raise UserError(
                f"{cached} cannot be written ({error}): free some space, or set {CACHE} to another folder"
            ) from error
    return _checked(cached, download, "delete it to download it again")


def mirror_folder() -> Path | None:
    """The mirror's folder, which its path or its file:// address gives. None for an http(s) address or without a mirror.

    UserError for another address.
    """
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return None
    if "://" not in mirror:
        return Path(mirror).expanduser()
    try:
        parts = urlsplit(mirror)
    except ValueError:
        raise UserError("mirror: the address is malformed: correct `mirror:` in the config") from None
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(url2pathname(parts.path))
    if parts.scheme not in ("http", "https"):
        raise UserError(
            f"mirror: {_without_secrets(mirror)}: give a folder, or an address with http, https or file://"
        )
    return None


def _in_folder(folder: Path, download: Download) -> Path:
    if not folder.is_dir():
        raise UserError(f"mirror: there is no folder {folder}: correct `mirror:` in the config, or remove it")
    path = folder / download.path
    if not path.is_file():
        raise UserError(
            f"the mirror {folder} has no {download.path}: put it there, or remove `mirror:` from the config"
        )
    return path


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _expected(path: Path, download: Download) -> str | None:
    """The checksum that is known in advance, or else the one that is stored beside `path`. None without either."""
    if download.sha256 or not _checksum_file(path).is_file():
        return download.sha256
    return _checksum_file(path).read_text(encoding="utf-8").partition(" ")[0].strip()


def _checked(path: Path, download: Download, remedy: str) -> Path:
    """Return `path`. UserError if its checksum is not the expected one."""
    expected = _expected(path, download)
    found = file_checksum(path) if expected else None
    if found != expected:
        raise UserError(
            f"{path} is damaged or another version: its sha256 is {found}, expected {expected}: "
            f"{remedy}{_or_accept(path, download)}"
        )
    return path


def _or_accept(path: Path, download: Download) -> str:
    return "" if download.sha256 else f", or delete {_checksum_file(path)} to accept the other version"


def _download(download: Download, mirror: str, cached: Path) -> None:
    """Download to `cached`. If several processes need the file, only one downloads it."""
    import pooch
    from filelock import FileLock

    pooch.get_logger().disabled = True  # it logs addresses, which may contain a password
    url = _address_in(mirror, download.path) if mirror else download.url
    remedy = _remedy(download, mirror, cached)
    if url is None:
        raise UserError(f"{download.path} cannot be downloaded automatically: {remedy}")
    downloader = _from_gdrive if url.startswith(GDRIVE) else _from_http
    downloader = partial(downloader, part=cached.with_name(f"{cached.name}.part"))
    cached.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{cached}.lock"):
        expected = _expected(cached, download)
        try:
            pooch.retrieve(url, expected, cached.name, cached.parent, downloader=downloader)
        except _Failed as error:
            raise UserError(
                f"{download.path} cannot be downloaded from {_without_secrets(url)} ({error}): {remedy}"
            ) from None
        except ValueError as error:  # pooch raises it and names both checksums
            accept = _or_accept(cached, download)
            raise UserError(
                f"{_without_secrets(url)} sent a file with another checksum ({error}): {remedy}{accept}"
            ) from None
        if not expected:
            write_text(_checksum_file(cached), f"{file_checksum(cached)}  {cached.name}\n")


def _remedy(download: Download, mirror: str, cached: Path) -> str:
    if mirror:
        return "put the right file there, or remove `mirror:` from the config"
    by_hand = download.by_hand or "try again later, or download it by hand"
    return f"{by_hand}; put it at {cached}, or set `mirror:` in the config to a mirror that has it"


def _address_in(mirror: str, path: str) -> str:
    parts = urlsplit(mirror)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{quote(path)}").geturl()


def _without_secrets(url: str) -> str:
    """`url` without the parts that may be secret: user, password and query."""
    parts = urlsplit(url)
    query = "..." if parts.query else ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query, fragment="").geturl()


def _from_gdrive(url: str, output: str, _pooch, part: Path) -> None:
    """A downloader for pooch, for a public file on Google Drive. gdown resumes interrupted downloads by itself."""
    import gdown
    from gdown.exceptions import DownloadError
    from requests import RequestException

    temporary = f"{part}.gdrive"
    options = {"quiet": not os.isatty(2), "resume": True, "timeout": TIMEOUT, "retries": len(WAITS)}
    try:
        gdown.download(id=url.removeprefix(GDRIVE), output=temporary, **options)
    except (DownloadError, RequestException) as error:
        raise _Failed(" ".join(str(error).split())) from None
    os.replace(temporary, output)


def _from_http(url: str, output: str, _pooch, part: Path) -> None:
    """A downloader for pooch that tries again after an error and resumes at the end of `part`."""
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    for wait in (*WAITS, None):
        try:
            _transfer(url, part)
            break
        except (RequestException, HTTPError) as error:
            if wait is None or not _is_temporary(error):
                raise _Failed(_reason(error)) from None
            logger.info("%s: %s; next attempt in %g s", _without_secrets(url), _reason(error), wait)
            time.sleep(wait)
    os.replace(part, output)
    _tag_file(part).unlink(missing_ok=True)


def _is_temporary(error: Exception) -> bool:
    """Whether a new attempt may succeed."""
    response = getattr(error, "response", None)
    if response is None:
        return not isinstance(error, ValueError)  # requests raises ValueError for a malformed address
    return response.status_code >= 500 or response.status_code in (408, 429)


def _reason(error: Exception) -> str:
    import requests
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    match error:
        case requests.HTTPError():
            return f"HTTP {error.response.status_code} {error.response.reason}"
        case requests.Timeout() | ReadTimeoutError():
            return f"no data for {TIMEOUT} s"
        case requests.exceptions.SSLError():
            return "its certificate is not trusted"
        case requests.ConnectionError():
            return "no connection: is there a network?"
        case HTTPError():
            return "the connection was lost before the end"
        case _:
            return type(error).__name__


def _transfer(url: str, part: Path) -> None:
    """Write the body of `url` to `part`. If the server still has the same version, append only what `part` lacks."""
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
            raise ProtocolError("the server sent another range or version, so the download starts again")
        response.raise_for_status()
        if "text/html" in response.headers.get("Content-Type", ""):
            raise _Failed("the server sent a web page instead")
        if response.status_code != 206:
            part.unlink(missing_ok=True)
            write_text(_tag_file(part), _tag(response))
        _append(response.raw, part)


def _tag_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.tag")


def _tag(response) -> str:
    """The value of an If-Range header that identifies this version of the file. "" if the server gives none."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _continues(response, start: int, tag: str) -> bool:
    """Whether the response starts at byte `start` of the version `tag`."""
    after = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return start > 0 and after and _tag(response) == tag


def _append(body, part: Path) -> None:
    """Append the body, without decoding it. ProtocolError if it is shorter than Content-Length."""
    from tqdm import tqdm

    body.enforce_content_length = True
    with part.open("ab") as file:
        start = file.tell()
        total = None if body.length_remaining is None else start + body.length_remaining
        bar = {"total": total, "initial": start, "desc": part.stem, "disable": None}
        with tqdm.wrapattr(body, "read", **bar) as counted:
            shutil.copyfileobj(counted, file)
