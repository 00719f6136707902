"""Your own data: one file of sessions and one of items, each CSV, TSV or parquet.

The file of sessions is wide or long. A wide file has the columns session_id and items: the item ids in order, which
in CSV and TSV are a JSON array or are separated by spaces. A long file has the columns session_id and item_id and
one row per item, in the order of the file or of a column timestamp. Both may have a column split (train, validation
or test) and, for a split by time, a column timestamp (numbers or ISO 8601).

The file of items has item_id and columns of text. A third file may hold text vectors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from alterrec.errors import UserError
from alterrec.files import file_checksum
from alterrec.readers.bad_rows import BadRows
from alterrec.readers.tabular import TableFile, read_frame, report_rows, require_columns
from alterrec.sources._raw import DatasetConfig, Raw, joined_text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class Config(DatasetConfig):
    """The paths of the files, relative to the working directory."""

    max_length: int | None = Field(
        None, ge=2, description="Number of items of a session that are kept: its last ones. null keeps all"
    )
    sessions: str = Field(
        description="Path of the file of sessions: .parquet, .csv, .tsv, .csv.gz or .tsv.gz"
    )
    items: str = Field(description="Path of the file of items: .parquet, .csv, .tsv, .csv.gz or .tsv.gz")
    text_columns: list[str] | None = Field(
        None,
        min_length=1,
        description="Columns of the file of items that are joined to an item's text, in this order. null joins all "
        "columns but item_id",
    )
    vectors: str | None = Field(
        None,
        description="Path of text vectors for the encoder 'precomputed'. An .npy file has one row per row of `items`; a "
        ".parquet file has the columns item_id and vector. null: no vectors",
    )
    description: str | None = Field(None, description="What the data are, for the dataset's card")
    licence: str = Field("not stated", description="Licence of the data, for the dataset's card")


def load(config: Config) -> Raw:
    """Read the files. UserError names the file and the line or column that is wrong."""
    bad = {key: BadRows(getattr(config, key), config.on_error) for key in ("sessions", "items")}
    items, columns = _read_items(config, bad["items"])
    if bad["items"].counts and (config.vectors or "").endswith(".npy"):
        raise UserError(
            f"{config.vectors} has one vector per row of {config.items}, but some of those rows were dropped: store "
            "the vectors as .parquet with the columns item_id and vector"
        )
    vectors = _read_vectors(Path(config.vectors), items["item_id"]) if config.vectors else None
    files = [config.sessions, config.items, *([config.vectors] if config.vectors else [])]
    return Raw(
        sessions=_read_sessions(config, bad["sessions"]),
        items=items,
        vectors=vectors,
        source=config.description or f"your files {config.sessions} and {config.items}",
        url="",
        citation="",
        licence=config.licence,
        checksums={name: file_checksum(Path(name)) for name in files},
        notes=[f"An item's text joins the columns {', '.join(columns)}."] if columns else [],
        counts=bad["sessions"].counts
        | bad["items"].counts
        | {"items in the file": len(items), "items without text": int((items["text"] == "").sum())},
        sessions_name=config.sessions,
        items_name=config.items,
    )


def _table_file(config: Config, key: str) -> TableFile:
    path = Path(getattr(config, key))
    if not path.is_file():
        raise UserError(
            f"{key}: there is no file {path}: correct the path (paths are relative to {Path.cwd()})"
        )
    return TableFile.at(path, name=str(path))


def _with_ids(frame: pd.DataFrame, key: str, file: TableFile, bad: BadRows) -> pd.DataFrame:
    """`frame` with the column `key` as str and without the rows in which it is missing."""
    import pandas as pd

    if pd.api.types.is_float_dtype(frame[key]):
        raise UserError(
            f"{file.name}: column {key!r} holds decimal numbers: convert the ids to text or to whole numbers"
        )
    missing = (frame[key].isna() | (frame[key].astype(str) == "")).to_numpy()
    if missing.any():
        first, count = int(frame.index[missing.argmax()]), int(missing.sum())
        message = f"{key} is missing (rows affected: {count})"
        report_rows(file, bad, first, f"without {key}", message, count)
    return frame[~missing].assign(**{key: frame[key].astype(str)})


# Items


def _read_items(config: Config, bad: BadRows) -> tuple[pd.DataFrame, list[str]]:
    """item_id and text of every item, and the columns that the texts join."""
    from pandas.api.types import is_list_like

    file = _table_file(config, "items")
    frame = read_frame(file, bad)
    require_columns(file, frame.columns, ["item_id"], "add it or rename one")
    frame = _with_ids(frame, "item_id", file, bad)
    columns = config.text_columns or [column for column in frame.columns if column != "item_id"]
    if not columns and not config.vectors:
        raise UserError(f"{file.name} has no column of text beside item_id: add one, such as title")
    require_columns(
        file, frame.columns, columns, "add it, or list the columns that hold text as text_columns"
    )
    for column in columns:
        if frame[column].map(is_list_like).any():
            raise UserError(
                f"{file.name}: column {column!r} holds lists, not text: list the columns that hold text as text_columns"
            )
    frame["text"] = joined_text(frame, columns) if columns else ""
    if not config.vectors and not frame["text"].any():
        raise UserError(f"{file.name}: all {len(frame)} texts are empty: fill {', '.join(columns)}")
    return frame[["item_id", "text"]].reset_index(drop=True), columns


def _read_vectors(path: Path, item_id: pd.Series) -> np.ndarray:
    """The text vectors [len(item_id), w] float32 in the order of the items."""
    import numpy as np

    if not path.is_file() or path.suffix not in (".npy", ".parquet"):
        raise UserError(f"vectors: {path} does not exist or is neither .npy nor .parquet: correct the path")
    try:
        by_row = path.suffix == ".npy"
        vectors = np.load(path, allow_pickle=False) if by_row else _vectors_by_id(path, item_id)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"vectors: {path} does not hold vectors of one width: {error}: store float vectors of the same width"
        ) from error
    if vectors.ndim != 2 or len(vectors) != len(item_id) or vectors.dtype.kind not in "fiu":
        raise UserError(
            f"vectors: {path} has shape {vectors.shape} of {vectors.dtype}; {len(item_id)} items need numbers of shape "
            f"({len(item_id)}, width)"
        )
    not_finite = ~np.isfinite(vectors).all(axis=1)
    if not_finite.any():
        first = int(not_finite.argmax())
        raise UserError(
            f"vectors: {path}: {not_finite.sum()} vectors are not finite, the first is row {first + 1}, "
            f"item {item_id.iloc[first]!r}: compute them again"
        )
    return vectors.astype(np.float32)


def _vectors_by_id(path: Path, item_id: pd.Series) -> np.ndarray:
    import numpy as np
    import pandas as pd

    frame = pd.read_parquet(path, columns=["item_id", "vector"])
    vector_of = dict(zip(frame["item_id"].astype(str), frame["vector"], strict=True))
    absent = [item for item in item_id if item not in vector_of]
    if absent:
        raise UserError(
            f"vectors: {path} lacks {len(absent)} items, such as {absent[0]!r}: add their vectors"
        )
    return np.stack([vector_of[item] for item in item_id])


# Sessions


def _read_sessions(config: Config, bad: BadRows) -> pd.DataFrame:
    """One row per session: session_id, items, and split and time where the file has them."""
    file = _table_file(config, "sessions")
    frame = read_frame(file, bad)
    require_columns(file, frame.columns, ["session_id"], "add it or rename one")
    if "item_id" not in frame:
        remedy = "add it (a list of items per row), or item_id (one item per row)"
        require_columns(file, frame.columns, ["items"], remedy)
    frame = _with_ids(frame, "session_id", file, bad)
    if "timestamp" in frame:
        frame = _with_time(frame, file, bad)
    sessions = _from_wide(frame, file, bad) if "items" in frame else _from_long(frame, file, bad)
    columns = [key for key in ("session_id", "items", "split", "time") if key in sessions]
    return sessions[columns].reset_index(drop=True)


def _with_time(frame: pd.DataFrame, file: TableFile, bad: BadRows) -> pd.DataFrame:
    """`frame` with a column time, a number that sorts the rows, and without the rows whose timestamp is unreadable."""
    import pandas as pd

    time = pd.to_numeric(frame["timestamp"], errors="coerce")
    if time.isna().all():
        stamp = pd.to_datetime(frame["timestamp"], errors="coerce", utc=True, format="ISO8601")
        time = stamp.astype("int64").where(stamp.notna()) / 1e9
    # `to_numeric` makes the least integer of a missing date
    unreadable = (time.isna() | frame["timestamp"].isna()).to_numpy()
    if unreadable.any():
        position, count = int(unreadable.argmax()), int(unreadable.sum())
        value = frame["timestamp"].iloc[position]
        message = f"timestamp {value!r} is neither a number nor ISO 8601 (rows affected: {count})"
        report_rows(file, bad, int(frame.index[position]), "timestamp unreadable", message, count)
    return frame[~unreadable].assign(time=time)


def _from_long(frame: pd.DataFrame, file: TableFile, bad: BadRows) -> pd.DataFrame:
    """Sessions in the order of their first row. Their items are in time order, or in the file's order without times."""
    frame = _with_ids(frame, "item_id", file, bad)
    groups = (frame.sort_values("time", kind="stable") if "time" in frame else frame).groupby("session_id")
    if "split" in frame:
        mixed = groups["split"].nunique() > 1
        if mixed.any():
            raise UserError(
                f"{file.name}: session {mixed.idxmax()!r} is in more than one split: give all its rows the same split"
            )
    first = {key: (key, "first") for key in ("split", "time") if key in frame}
    sessions = groups.agg(items=("item_id", list), **first)
    return sessions.loc[frame["session_id"].unique()].reset_index()


def _from_wide(frame: pd.DataFrame, file: TableFile, bad: BadRows) -> pd.DataFrame:
    lists = []
    for row, session, value in zip(frame.index, frame["session_id"], frame["items"], strict=True):
        try:
            lists.append(_item_list(value))
        except ValueError as error:
            message = f"session {session!r}: items is {error}"
            report_rows(file, bad, int(row), "items unreadable", message)
            lists.append(None)
    frame = frame.assign(items=lists)
    return frame[frame["items"].notna()]


def _item_list(value: Any) -> list[str]:
    """A session's item ids, from a list, a JSON array or ids separated by spaces. ValueError for anything else."""
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
