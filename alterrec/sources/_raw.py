"""What all sources share: common settings, the result type `Raw` and helpers. Importing this does not import pandas."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from alterrec.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd

FIELD_SEPARATOR = "\n"  # between the fields of an item's text
TIE_BREAK_KEY = b"order within a second"


class DatasetConfig(BaseModel):
    """Settings of one dataset. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="Name of a file in alterrec/sources/, without its ending")
    split: Literal["given", "temporal", "random", "leave_last_out"] | None = Field(
        None,
        description="How sessions are divided into training, validation and test. 'given' is the source's own division. "
        "'temporal' holds out the latest sessions. 'random' draws sessions with a fixed seed. 'leave_last_out' holds "
        "out the last two items of every session. null takes the first of 'given', 'temporal' and 'random' for which "
        "the source has the data",
    )
    validation_share: float = Field(
        0.1, gt=0, lt=1, description="Share of the sessions in validation, for split 'temporal' and 'random'"
    )
    test_share: float = Field(
        0.1, gt=0, lt=1, description="Share of the sessions in test, for split 'temporal' and 'random'"
    )
    on_error: Literal["strict", "drop"] = Field(
        "strict",
        description="What to do about a malformed row. 'strict' stops with an error. 'drop' leaves the row out and "
        "counts it in the dataset's card",
    )
    min_count: int = Field(
        1,
        ge=1,
        description="Items with fewer occurrences than this in the training sessions are removed from those sessions",
    )
    max_length: int | None = Field(
        50, ge=2, description="Number of items of a session that are kept: its last ones. null keeps all"
    )
    max_sessions: int | None = Field(
        None,
        ge=3,
        description="Approximate number of sessions to keep. They are drawn with a fixed seed, the same share of every "
        "split. null keeps all",
    )
    text_control: Literal["none", "permuted"] = Field(
        "none",
        description="'permuted' makes the dataset a twin: its texts are permuted among its items, so a text says "
        "nothing about its item",
    )


@dataclass(frozen=True, eq=False)
class Raw:
    """What a source read, before any filtering.

    `sessions` has the columns session_id (str) and items (item ids in order, as Python lists or as an Arrow list
    column). Where the source knows them it also has split (train, validation or test) and time (a number by which
    sessions can be sorted). `items` has item_id (str) and text (str, made by `joined_text`). `vectors`
    [len(items), w] float32 are text vectors that come with the data, for the encoder `precomputed`. The other fields
    are facts for the dataset's card.
    """

    sessions: pd.DataFrame
    items: pd.DataFrame
    source: str
    url: str
    citation: str
    licence: str
    checksums: dict[str, str]  # file name -> sha256
    vectors: np.ndarray | None = None
    demo: bool = False  # True: the data only demonstrate the suite and are no evidence
    order_known: bool = True  # False: the order of the items in a session was drawn at random
    distinct: bool = False  # True: only the first occurrence of an item in a session is kept
    note: str = ""  # one line below the tables
    notes: list[str] = field(default_factory=list)  # how the sessions were made
    limits: list[str] = field(default_factory=list)  # what the data cannot show
    counts: dict[str, int] = field(default_factory=dict)  # what was read and what was dropped
    official: dict[str, int] = field(default_factory=dict)  # published counts, for comparison
    sessions_name: str = "sessions"  # what error messages call the sessions' file
    items_name: str = "items"  # what error messages call the items' file


def tie_break_keys(names: Iterable[str], key: bytes = TIE_BREAK_KEY) -> np.ndarray:
    """A hash [n] uint64 of every name with a `key`. Sorting by it orders events whose true order is unknown.

    The order is the same on every machine and independent of the order in the file.
    """
    import numpy as np

    digests = (blake2b(name.encode(), digest_size=8, key=key).digest() for name in names)
    return np.frombuffer(b"".join(digests), np.dtype(">u8"))


def require_published_counts(path: Path, found: dict[str, int], published: dict[str, int]) -> None:
    """UserError if a count `found` in the file at `path` differs from the published one. It names every such count."""
    differences = [
        f"found {count:,} {what}, published {published[what]:,}"
        for what, count in found.items()
        if published.get(what, count) != count
    ]
    if differences:
        raise UserError(f"{path}: {'; '.join(differences)}: delete the file to download it again")


def joined_text(frame: pd.DataFrame, columns: list[str]) -> list[str]:
    """One text per row: the non-missing values of `columns`, one per line. A run of white space becomes one space."""
    values = frame[columns].astype("string").fillna("").to_numpy(dtype=object)
    return [
        FIELD_SEPARATOR.join(part for part in (" ".join(value.split()) for value in row) if part)
        for row in values
    ]
