"""What every source shares: its settings and what it hands over. Importing this imports no pandas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import pandas as pd


class DatasetConfig(BaseModel):
    """Settings of one dataset; a key that is not declared is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="name of a file of alterrec/sources/")
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

    `sessions` has the columns session_id (str), items (list of item_id, in order) and split (train,
    validation or test); `items` has item_id (str) and text (str). The rest are the facts of the dataset's
    card.
    """

    sessions: pd.DataFrame
    items: pd.DataFrame
    source: str
    url: str
    citation: str
    licence: str
    checksums: dict[str, str]  # file -> sha256
    demo: bool = False  # shows the suite at work, is no evidence
    order_known: bool = True
    distinct: bool = False  # an item counts once in a session
    note: str = ""  # one line for tables
    notes: list[str] = field(default_factory=list)  # how the sessions were made
    limits: list[str] = field(default_factory=list)  # what the data cannot show
    counts: dict[str, int] = field(default_factory=dict)  # what was read
    sessions_name: str = "sessions"  # for error messages
    items_name: str = "items"


def joined_text(frame: pd.DataFrame, columns: list[str]) -> list[str]:
    """One text per row: the values of `columns`, stripped, without missing ones, joined by ', '."""
    values = frame[columns].astype("string").fillna("").to_numpy(dtype=object)
    return [", ".join(part for part in map(str.strip, row) if part) for row in values]
