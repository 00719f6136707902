"""Your own data: one file of sessions and one of items, CSV, TSV or parquet.

Sessions, wide: columns session_id and items (the item ids in order; in CSV a JSON array or ids separated by spaces);
or long: session_id and item_id, one row per item, in the file's order or by the column timestamp. Either may have a
column split (train, validation or test) and, for a split by time, timestamp (numbers or ISO 8601). Items: item_id and
columns of text; vectors of their own, if you have them, in a third file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from alterrec.errors import UserError
from alterrec.files import file_checksum
from alterrec.readers.bad_rows import BadRows
from alterrec.readers.tabular import line_of, read_table, require_column
from alterrec.sources._raw import DatasetConfig, Raw, joined_text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class Config(DatasetConfig):
    """The files' paths, relative to the working directory."""

    max_length: int | None = Field(
        None, ge=2, description="items of a session that are kept, the last ones; null = all"
    )
    sessions: str = Field(description="file of sessions: .parquet, .csv or .tsv, the latter also with .gz")
    items: str = Field(description="file of items: .parquet, .csv or .tsv, the latter also with .gz")
    text_columns: list[str] | None = Field(
        None,
        min_length=1,
        description="columns of the items' text, in this order; null = all but item_id",
    )
    vectors: str | None = Field(
        None,
        description="text vectors, for `encoder: precomputed`: .npy with one row per row of `items`, or .parquet with "
        "item_id and vector",
    )
    description: str | None = Field(None, description="what the data are, for the dataset's card")
    licence: str = Field("yours; state it", description="licence of the data, for the dataset's card")


def load(config: Config) -> Raw:
    """Read the files. UserError names the file, line or column that is wrong."""
    bad = {key: BadRows(getattr(config, key), config.on_error) for key in ("sessions", "items")}
    items, columns = _items(config, bad["items"])
    if bad["items"].counts and (config.vectors or "").endswith(".npy"):
        raise UserError(
            f"{config.vectors} goes by the rows of {config.items}, some of which are dropped: use .parquet"
        )
    vectors = _vectors(Path(config.vectors), items["item_id"]) if config.vectors else None
    files = [config.sessions, config.items, *([config.vectors] if config.vectors else [])]
    return Raw(
        sessions=_sessions(config, bad["sessions"]),
        items=items,
        vectors=vectors,
        source=config.description or f"your files {config.sessions} and {config.items}",
        url="",
        citation="",
        licence=config.licence,
        checksums={name: file_checksum(Path(name)) for name in files},
        notes=[f"An item's text is made of the columns {', '.join(columns)}."] if columns else [],
        counts=bad["sessions"].counts
        | bad["items"].counts
        | {"items in the file": len(items), "items without text": int((items["text"] == "").sum())},
        sessions_name=config.sessions,
        items_name=config.items,
    )


# Items


def _items(config: Config, bad: BadRows) -> tuple[pd.DataFrame, list[str]]:
    from pandas.api.types import is_list_like

    path = Path(config.items)
    frame = read_table(path, "items", bad)
    require_column("item_id", frame, path, "add it or rename one")
    frame = _with_ids(frame, "item_id", path, bad)
    columns = config.text_columns or [column for column in frame.columns if column != "item_id"]
    if not columns and not config.vectors:
        raise UserError(f"{path} has no column of text beside item_id: add one, such as title")
    for column in columns:
        require_column(column, frame, path, "add it, or list the columns that hold text as text_columns")
        if frame[column].map(is_list_like).any():
            raise UserError(f"{path}: column {column!r} holds no text: list those that do as text_columns")
    frame["text"] = joined_text(frame, columns) if columns else ""
    if not config.vectors and not frame["text"].any():
        raise UserError(f"{path}: all {len(frame)} texts are empty: fill {', '.join(columns)}")
    return frame[["item_id", "text"]], columns


def _with_ids(frame: pd.DataFrame, key: str, path: Path, bad: BadRows) -> pd.DataFrame:
    """`frame` with the column `key` as str, and without the rows that lack it."""
    import pandas as pd

    if pd.api.types.is_float_dtype(frame[key]):
        raise UserError(f"{path}: column {key!r} holds decimal numbers: ids must be text or whole numbers")
    missing = (frame[key].isna() | (frame[key].astype(str) == "")).to_numpy()
    if missing.any():
        message = f"{missing.sum()} rows have no {key}, the first is row {missing.argmax() + 1}"
        bad.add(f"without {key}", message, line_of(path, int(missing.argmax())), int(missing.sum()))
    return frame[~missing].assign(**{key: frame[key].astype(str)})


def _vectors(path: Path, item_id: pd.Series) -> np.ndarray:
    """[len(item_id), w] float32, in the order of the items."""
    import numpy as np
    import pandas as pd

    if not path.is_file() or path.suffix not in (".npy", ".parquet"):
        raise UserError(f"vectors: {path} is no file, or neither .npy nor .parquet")
    try:
        if path.suffix == ".npy":
            vectors = np.load(path, allow_pickle=False)
        else:
            frame = pd.read_parquet(path, columns=["item_id", "vector"])
            own = dict(zip(frame["item_id"].astype(str), frame["vector"], strict=True))
            absent = [item for item in item_id if item not in own]
            if absent:
                raise UserError(f"vectors: {path} lacks {len(absent)} items, such as {absent[0]!r}")
            vectors = np.stack([own[item] for item in item_id])
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"vectors: {path} does not hold vectors of one width: {error}") from error
    if vectors.ndim != 2 or len(vectors) != len(item_id) or vectors.dtype.kind not in "fiu":
        raise UserError(
            f"vectors: {path} has shape {vectors.shape} of {vectors.dtype}; {len(item_id)} items need ({len(item_id)}, width)"
        )
    wrong = ~np.isfinite(vectors).all(axis=1)
    if wrong.any():
        raise UserError(
            f"vectors: {path}: {wrong.sum()} vectors are not finite, the first is row {wrong.argmax() + 1}, "
            f"item {item_id.iloc[wrong.argmax()]!r}"
        )
    return vectors.astype(np.float32)


# Sessions


def _sessions(config: Config, bad: BadRows) -> pd.DataFrame:
    """One row per session: session_id, items, and split and time where the file has them."""
    path = Path(config.sessions)
    frame = read_table(path, "sessions", bad)
    require_column("session_id", frame, path, "add it or rename one")
    if "items" not in frame and "item_id" not in frame:
        require_column("items", frame, path, "add it (a list per session), or item_id (a row per item)")
    frame = _with_ids(frame, "session_id", path, bad)
    if "timestamp" in frame:
        frame = _with_time(frame, path, bad)
    sessions = _wide(frame, path, bad) if "items" in frame else _long(frame, path, bad)
    return sessions[[key for key in ("session_id", "items", "split", "time") if key in sessions]]


def _with_time(frame: pd.DataFrame, path: Path, bad: BadRows) -> pd.DataFrame:
    import pandas as pd

    number = pd.to_numeric(frame["timestamp"], errors="coerce")
    if number.isna().all():
        stamp = pd.to_datetime(frame["timestamp"], errors="coerce", utc=True, format="ISO8601")
        number = stamp.astype("int64").where(stamp.notna()) / 1e9
    wrong = number.isna().to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        value = frame["timestamp"].iloc[row]
        message = f"timestamp {value!r} is neither a number nor ISO 8601 ({wrong.sum()} such rows)"
        bad.add("timestamp unreadable", message, line_of(path, int(frame.index[row])), int(wrong.sum()))
    return frame[~wrong].assign(time=number)


def _long(frame: pd.DataFrame, path: Path, bad: BadRows) -> pd.DataFrame:
    """Sessions in the order of their first row; their items by time, if known, in the file's order otherwise."""
    frame = _with_ids(frame, "item_id", path, bad)
    groups = (frame.sort_values("time", kind="stable") if "time" in frame else frame).groupby("session_id")
    if "split" in frame:
        mixed = groups["split"].nunique() > 1
        if mixed.any():
            raise UserError(f"{path}: session {mixed.idxmax()!r} is in more than one split")
    first = {key: (key, "first") for key in ("split", "time") if key in frame}
    sessions = groups.agg(items=("item_id", list), **first)
    return sessions.loc[frame["session_id"].unique()].reset_index()


def _wide(frame: pd.DataFrame, path: Path, bad: BadRows) -> pd.DataFrame:
    lists = []
    for row, session, value in zip(frame.index, frame["session_id"], frame["items"], strict=True):
        try:
            lists.append(_item_list(value))
        except ValueError as error:
            message = f"session {session!r}: items is {error}"
            bad.add("items unreadable", message, line_of(path, int(row)))
            lists.append(None)
    frame = frame.assign(items=lists)
    return frame[frame["items"].notna()]


def _item_list(value: Any) -> list[str]:
    """A session's item ids from a list, a JSON array or ids separated by spaces. ValueError says what it is instead."""
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("["):
            return text.split()
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"not a JSON array ({error}): {text[:80]}") from None
    try:
        return [str(item) for item in value]
    except TypeError:
        raise ValueError(f"{value!r}, not a list of item ids") from None
