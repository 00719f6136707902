"""Amazon-M2 as the authors of AlterRec share it: sessions of item indices in three splits, and text vectors.

Source: the archive on Google Drive that https://github.com/Juanhui28/AlterRec links to. For a locale such as FR it
holds, in any parent folder, sess_FR_text_FR/{train,val,test}.pkl, each {user: {session: [item indices]}}. It also
holds sess_FR_text_FR/dist/text_embeddings/{title,des}_embeddings.pkl and, for some locales, tax_embeddings.pkl. Each is
a tensor [items, width]. As in the authors' program, index i is row i of the vectors, counted from 0.

The files are pickles. They are read as data only (see alterrec/readers/safe_pickle.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from alterrec.errors import UserError
from alterrec.files import file_checksum
from alterrec.readers.archives import members, open_member
from alterrec.readers.bad_rows import BadRows
from alterrec.readers.downloads import Download, fetch
from alterrec.readers.safe_pickle import read_pickle
from alterrec.sources._raw import DatasetConfig, Raw
from alterrec.sources.amazon_m2 import CITATION

if TYPE_CHECKING:
    import numpy as np

FILE_ID = "180K8PtOi0Rgsi4MEYHYQD0pE1yhRDOiB"
BY_HAND = f"download https://drive.google.com/file/d/{FILE_ID}/view with a browser"
SPLITS = {"train": "train", "val": "validation", "test": "test"}
FIELDS = ("tax", "title", "des")  # in the order in which the authors add them
OPTIONAL = "tax"
LARGEST = 2**63


class Config(DatasetConfig):
    """Which locale to read."""

    split: Literal["given", "random", "leave_last_out"] = Field(
        "given",
        description="How sessions are divided into training, validation and test. 'given' is the archive's own division. "
        "'random' draws sessions with a fixed seed. 'leave_last_out' holds out the last two items of every session",
    )
    max_length: int | None = Field(
        None, ge=2, description="Number of items of a session that are kept: its last ones. null keeps all"
    )
    locale: Literal["ES", "FR", "IT"] = Field(description="Locale to read: ES, FR or IT")
    archive: str = Field(
        "amazon_m2_authors/alterrec.zip",
        description="Path of the archive in the mirror and in the cache of downloads: .zip, .tar, .tar.gz or .tgz",
    )


def fetch_files(config: Config) -> list[Path]:
    """The archive, downloaded if the cache lacks it."""
    return [fetch(Download(config.archive, f"gdrive:{FILE_ID}", by_hand=BY_HAND))]


def load(config: Config) -> Raw:
    """Read one locale. UserError names the file of the archive, and the user and session, that are wrong."""
    import pandas as pd

    (archive,) = fetch_files(config)
    folder = f"sess_{config.locale}_text_{config.locale}"
    names = members(archive)
    vectors, fields = _vectors(archive, names, f"{folder}/dist/text_embeddings")
    sessions, counts = [], {"rows of vectors": len(vectors)}
    for file, split in SPLITS.items():
        name = _member(archive, names, f"{folder}/{file}.pkl")
        bad = BadRows(f"{archive.name}, {name}", config.on_error)
        in_split = list(_sessions(_value(archive, name), split, len(vectors), bad))
        counts |= {f"{split} sessions of the archive": len(in_split)} | bad.counts
        sessions += in_split
    indices = [int(item) for _, items, _ in sessions for item in items]
    counts |= {"lowest item index": min(indices, default=0), "highest item index": max(indices, default=0)}
    return Raw(
        sessions=pd.DataFrame(sessions, columns=["session_id", "items", "split"]),
        items=pd.DataFrame({"item_id": [str(row) for row in range(len(vectors))], "text": ""}),
        source=f"Amazon-M2, {config.locale}, as the authors of AlterRec share it",
        url="https://github.com/Juanhui28/AlterRec",
        citation="Enhancing ID and Text Fusion via Alternative Training in Session-based Recommendation (AlterRec), "
        f"arXiv:2402.08921; {CITATION}",
        licence="Amazon-M2 is Apache 2.0, as its authors state; the archive itself states no licence",
        checksums={config.archive: file_checksum(archive)},
        vectors=vectors,
        note="the data have text vectors but no texts",
        notes=_notes(fields),
        limits=LIMITS,
        counts=counts,
        sessions_name=archive.name,
        items_name=f"the text vectors of {archive.name}",
    )


def _notes(fields: list[str]) -> list[str]:
    return [
        "A session is a complete list of the archive. Its id is split/user/session.",
        "An item is an index of the archive: the row of its vector, counted from 0.",
        f"The vector of an item is the mean of its embeddings in {', '.join(fields)}, as in the authors' program. "
        "There are no texts: `encoder: precomputed` reads the vectors.",
    ]


LIMITS = [
    "Sessions have no time, and the archive does not say how its split was made. Whether it is by time is unknown.",
    "Without texts the vectors cannot be checked, and no other text encoder can be tried.",
    "An index cannot be traced to a product of Amazon-M2.",
]


def _member(archive: Path, names: list[str], end: str) -> str:
    """The member whose path ends with `end`, or `end` itself if there is none. UserError for several."""
    found = [name for name in names if f"/{name}".endswith(f"/{end}")]
    if len(found) > 1:
        raise UserError(
            f"{archive} has {end} more than once ({', '.join(found)}): keep one of them in the archive"
        )
    return found[0] if found else end


def _value(archive: Path, name: str) -> Any:
    with open_member(archive, name) as file:
        return read_pickle(file, f"{archive.name}, {name}")


def _vectors(archive: Path, names: list[str], folder: str) -> tuple[np.ndarray, list[str]]:
    """The mean of the embeddings [items, width] float32, and the names of their files."""
    found = {}
    for field in FIELDS:
        file = f"{field}_embeddings.pkl"
        name = _member(archive, names, f"{folder}/{file}")
        if field != OPTIONAL or name in names:
            found[file] = _embedding(_value(archive, name), f"{archive.name}, {name}")
    if len({array.shape for array in found.values()}) > 1:
        shapes = ", ".join(f"{file} {list(array.shape)}" for file, array in found.items())
        raise UserError(
            f"{archive.name}, {folder}: the shapes differ ({shapes}): download the archive again, because all must "
            "have the same rows and width"
        )
    return sum(found.values()) / len(found), list(found)


def _embedding(value: Any, where: str) -> np.ndarray:
    """The vectors [items, width] float32 in the value of one file, which `where` names in errors."""
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor) and value.is_floating_point():
        value = value.float().numpy()
    if not (isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim == 2 and value.size):
        shape = f" of shape {list(value.shape)}" if hasattr(value, "shape") else ""
        raise UserError(
            f"{where} holds a {type(value).__name__}{shape}, not vectors [items, width] of real numbers: download the "
            "archive again"
        )
    value = value.astype(np.float32, copy=False)
    not_finite = ~np.isfinite(value).all(axis=1)
    if not_finite.any():
        raise UserError(
            f"{where}: {not_finite.sum()} of {len(value)} vectors are not finite, the first is row {not_finite.argmax()}"
            ": download the archive again"
        )
    return value


def _sessions(value: Any, split: str, rows: int, bad: BadRows) -> Iterator[tuple[str, list[str], str]]:
    """session_id, items and split of the valid sessions. The others go to `bad`."""
    if not isinstance(value, dict):
        raise UserError(
            f"{bad.file} holds a {type(value).__name__}, not {{user: {{session: [item indices]}}}}: download "
            "the archive again"
        )
    for user, sessions in value.items():
        if not isinstance(sessions, dict):
            kind = type(sessions).__name__
            bad.add("user without sessions", f"user {user}: a {kind}, not {{session: [item indices]}}")
            continue
        for session, items in sessions.items():
            fault = _fault(items, rows)
            if fault:
                reason, found = fault
                bad.add(f"session with {reason}", f"user {user}, session {session}: {found}")
            else:
                yield f"{split}/{user}/{session}", [str(int(item)) for item in items], split


def _fault(items: Any, rows: int) -> tuple[str, str] | None:
    """What is wrong with the items of a session: the reason for the card and the message for the error."""
    if not isinstance(items, list | tuple) or not all(map(_is_index, items)):
        return "items that are not whole numbers", f"a {type(items).__name__}, not a list of item indices"
    outside = next((item for item in items if not 0 <= item < rows), None)
    if outside is None:
        return None
    return "an item without a vector", f"item {outside} has no vector, the rows are 0 to {rows - 1}"


def _is_index(item: Any) -> bool:
    return isinstance(item, Integral) and not isinstance(item, bool) and -LARGEST <= item < LARGEST
