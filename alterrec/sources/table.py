"""Your own data: one file of sessions and one of items, parquet or CSV.

Sessions: columns session_id, items (the item ids in order; in CSV a JSON array or ids separated by spaces)
and, if you have one, split (train, validation or test). Items: item_id and one or more columns of text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from alterrec.errors import UserError, nearest
from alterrec.provenance import file_checksum
from alterrec.sources.base import DatasetConfig, Raw, joined_text

if TYPE_CHECKING:
    import pandas as pd

SPLIT_SEED = 2024
SHARES = {"validation": 0.1, "test": 0.1}


class Config(DatasetConfig):
    """Two files, their paths relative to the working directory."""

    max_length: int | None = Field(
        None, ge=2, description="items of a session that are kept, the last ones; null = all"
    )
    sessions: str = Field(description="file of sessions: .parquet, .csv or .csv.gz")
    items: str = Field(description="file of items: .parquet, .csv or .csv.gz")
    text_columns: list[str] | None = Field(
        None,
        min_length=1,
        description="columns of the items' text, joined in this order; null = all but item_id",
    )
    description: str | None = Field(None, description="what the data are, for the dataset's card")
    licence: str = Field("yours; state it", description="licence of the data, for the dataset's card")


def load(config: Config) -> Raw:
    """Read both files. UserError names the file and the column, value or session that is wrong."""
    sessions = _read(Path(config.sessions), "sessions", ["session_id", "items"])
    items = _read(Path(config.items), "items", ["item_id"])
    columns = _text_columns(items, config)
    items = items.assign(
        item_id=_ids(items["item_id"], config.items), text=_texts(items, columns, config.items)
    )
    sessions = sessions.assign(session_id=_ids(sessions["session_id"], config.sessions))
    lists = zip(sessions["session_id"], sessions["items"], strict=True)
    sessions["items"] = [_item_list(session, value, config.sessions) for session, value in lists]
    drawn = "split" not in sessions
    if drawn:
        sessions["split"] = _random_split(sessions["session_id"])
    how = "at random by session, 80/10/10, with a fixed seed: the file has no column split"
    return Raw(
        sessions=sessions[["session_id", "items", "split"]],
        items=items[["item_id", "text"]],
        source=config.description or f"your files {config.sessions} and {config.items}",
        url="",
        citation="",
        licence=config.licence,
        checksums={name: file_checksum(Path(name)) for name in (config.sessions, config.items)},
        notes=[
            f"Split {how if drawn else 'by the column split'}.",
            f"An item's text joins the columns {', '.join(columns)}.",
        ],
        limits=["A split by chance mixes times: what holds in it may not hold for later sessions."]
        if drawn
        else [],
        counts={"items in the file": len(items), "items without text": int((items["text"] == "").sum())},
        sessions_name=config.sessions,
        items_name=config.items,
    )


def _read(path: Path, key: str, columns: list[str]) -> pd.DataFrame:
    """A table with at least `columns`; every value of a CSV file is a str."""
    import pandas as pd

    if not path.is_file():
        raise UserError(f"{key}: there is no file {path} (paths are relative to {Path.cwd()})")
    if not path.name.endswith((".parquet", ".csv", ".csv.gz")):
        raise UserError(f"{key}: {path} is neither .parquet nor .csv nor .csv.gz")
    try:
        parquet = path.suffix == ".parquet"
        frame = pd.read_parquet(path) if parquet else pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # what pandas and pyarrow raise for a broken file
        raise UserError(f"{key}: {path} cannot be read: {error}") from error
    for column in columns:
        _require(column, frame, path)
    return frame


def _require(
    column: str, frame: pd.DataFrame, path: str | Path, remedy: str = "add it or rename one"
) -> None:
    if column not in frame:
        present = ", ".join(map(str, frame.columns))
        hint = nearest(column, frame.columns)
        raise UserError(f"{path} has no column {column!r}{hint}; its columns: {present}: {remedy}")


def _ids(column: pd.Series, path: str) -> pd.Series:
    missing = column.isna() | (column.astype(str) == "")
    if missing.any():
        raise UserError(
            f"{path}: {missing.sum()} rows have no {column.name}, the first is row {missing.argmax() + 1}"
        )
    return column.astype(str)


def _item_list(session: str, value: Any, path: str) -> list[str]:
    """A session's item ids from a list, a JSON array or ids separated by spaces."""
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("["):
            return text.split()
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(
                f"{path}: session {session!r}: items is not a JSON array ({error}): {text[:80]}"
            ) from None
    try:
        return [str(item) for item in value]
    except TypeError:
        raise UserError(f"{path}: session {session!r}: items is {value!r}, not a list of item ids") from None


def _random_split(session_id: pd.Series) -> list[str]:
    """80/10/10 by session; the same whatever the order of the rows."""
    import numpy as np

    names = np.full(len(session_id), "train", dtype=object)
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(np.argsort(session_id.to_numpy(), kind="stable"))
    start = 0
    for split, share in SHARES.items():
        size = max(1, round(share * len(session_id)))
        names[shuffled[start : start + size]] = split
        start += size
    return list(names)


def _text_columns(items: pd.DataFrame, config: Config) -> list[str]:
    columns = config.text_columns or [column for column in items.columns if column != "item_id"]
    if not columns:
        raise UserError(f"{config.items} has no column of text beside item_id: add one, such as title")
    for column in columns:
        _require(column, items, config.items, "add it, or list the columns that hold text as text_columns")
    return columns


def _texts(items: pd.DataFrame, columns: list[str], path: str) -> list[str]:
    texts = joined_text(items, columns)
    if not any(texts):
        raise UserError(f"{path}: all {len(texts)} texts are empty: fill {', '.join(columns)}")
    return texts
