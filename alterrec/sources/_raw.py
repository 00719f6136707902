"""What every source shares: its settings and what it hands over. Importing this imports no pandas."""

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

FIELD = "\n"  # between the fields of an item's text
ORDER_KEY = b"order within a second"


class DatasetConfig(BaseModel):
    """Settings of one dataset; a key that is not declared is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="name of a file of alterrec/sources/")
    split: Literal["given", "temporal", "random", "leave_last_out"] | None = Field(
        None,
        description="how sessions become training, validation and test: the source's own (given), the latest "
        "ones held out (temporal), by chance with a fixed seed (random), or every session's last two items held "
        "out (leave_last_out); null = the first of given, temporal and random that the data allow",
    )
    validation_share: float = Field(0.1, gt=0, lt=1, description="of the sessions, for temporal and random")
    test_share: float = Field(0.1, gt=0, lt=1, description="of the sessions, for temporal and random")
    on_error: Literal["strict", "drop"] = Field(
        "strict", description="a malformed row: refuse the file, or drop the row and count it in the card"
    )
    min_count: int = Field(
        1, ge=1, description="training sessions keep items that occur in them at least so often"
    )
    max_length: int | None = Field(
        50, ge=2, description="items of a session that are kept, the last ones; null = all"
    )
    max_sessions: int | None = Field(
        None, ge=3, description="keep about so many sessions, equal shares of all splits"
    )
    text_control: Literal["none", "permuted"] = Field(
        "none",
        description="'permuted' exchanges the texts among the items: the control whose texts tell nothing",
    )


@dataclass(frozen=True, eq=False)
class Raw:
    """What a source read, before anything is dropped.

    `sessions` has the columns session_id (str), items (list of item_id in order: Python lists or an Arrow
    list column) and, where the source knows them, split (train, validation or test) and time (a number that
    sorts sessions by when they were). `items` has item_id (str) and text (str, see `joined_text`); `vectors`
    [len(items), w] float32 are text vectors that come with the data, for the encoder `precomputed`. The rest are the
    facts of the dataset's card.
    """

    sessions: pd.DataFrame
    items: pd.DataFrame
    source: str
    url: str
    citation: str
    licence: str
    checksums: dict[str, str]  # file -> sha256
    vectors: np.ndarray | None = None
    demo: bool = False  # shows the suite at work, is no evidence
    order_known: bool = True
    distinct: bool = False  # an item counts once in a session
    note: str = ""  # one line for tables
    notes: list[str] = field(default_factory=list)  # how the sessions were made
    limits: list[str] = field(default_factory=list)  # what the data cannot show
    counts: dict[str, int] = field(default_factory=dict)  # what was read
    official: dict[str, int] = field(default_factory=dict)  # published counts, to compare
    sessions_name: str = "sessions"  # for error messages
    items_name: str = "items"


def drawn_order(names: Iterable[str]) -> np.ndarray:
    """[n] uint64 a keyed hash of every name: the order of events of one time, whose own is unknown, the same every time."""
    import numpy as np

    drawn = (blake2b(name.encode(), digest_size=8, key=ORDER_KEY).digest() for name in names)
    return np.frombuffer(b"".join(drawn), np.dtype(">u8"))


def require_published(path: Path, found: dict[str, int], published: dict[str, int]) -> None:
    """UserError naming each count of what was `found` in the file at `path` that is published and another."""
    unlike = [
        f"found {count:,} {what}, published {published[what]:,}"
        for what, count in found.items()
        if published.get(what, count) != count
    ]
    if unlike:
        raise UserError(f"{path}: {'; '.join(unlike)}: delete it and fetch it again")


def joined_text(frame: pd.DataFrame, columns: list[str]) -> list[str]:
    """One text per row: the values of `columns`, one per line, without missing ones; white space is one space."""
    values = frame[columns].astype("string").fillna("").to_numpy(dtype=object)
    return [FIELD.join(part for part in (" ".join(value.split()) for value in row) if part) for row in values]
