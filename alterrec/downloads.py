"""Files from elsewhere: from a mirror, from the cache, or downloaded, checked and kept in the cache."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from alterrec.errors import UserError

MIRROR = "ALTERREC_MIRROR"  # a folder or an http(s) address that has every file under its `path`
CACHE = "ALTERREC_CACHE"


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


def fetch(download: Download) -> Path:
    """The file, read-only, from the mirror, the cache or its address. UserError says what failed and what to do."""
    mirror = os.environ.get(MIRROR)
    if mirror and (Path(mirror) / download.path).is_file():
        return Path(mirror) / download.path
    raise UserError(f"{download.path} cannot be had: {download.by_hand}")
