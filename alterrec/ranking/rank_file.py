"""The stored ranks of a run: their schema, its check, and the per-session sums that tests are made from."""

from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from alterrec.data.dataset import Dataset
from alterrec.errors import UserError, nearest

PARTS = ("id", "text")
NEEDED = ("split", "session", "position", "target", "last", "above", "ties")
UNSEEN = ("above_unseen", "ties_unseen")  # optional, as are those of the parts
OPTIONAL = (UNSEEN, *((f"{part}_above", f"{part}_ties") for part in PARTS))


def instances(dataset: Dataset) -> pd.DataFrame:
    """Every validation, then every test instance (a session's items that are targets), by session and position.

    Columns: split, session, position, target, last, seen. `position` is the length of the prefix, the target
    is items[position], `seen` says whether the prefix holds the target.
    """
    length = np.diff(dataset.offsets)
    session = np.repeat(np.arange(len(length)), length)
    position = np.arange(len(dataset.flat)) - dataset.offsets[session]
    pair = session * np.int64(dataset.catalogue_size) + dataset.flat
    seen = np.ones(len(pair), bool)
    seen[np.unique(pair, return_index=True)[1]] = False
    frames = []
    for split in ("validation", "test"):
        target = position >= (length - dataset.targets)[session]
        rows = np.flatnonzero((np.asarray(dataset.split)[session] == split) & target)
        columns = {
            "split": split,
            "session": session[rows].astype(np.int32),
            "position": position[rows].astype(np.int32),
            "target": dataset.flat[rows].astype(np.int32),
            "last": position[rows] == length[session[rows]] - 1,
            "seen": seen[rows],
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def read_parquet(path: Path, needed_by: str) -> pd.DataFrame:
    """A parquet file as a DataFrame; UserError where it is missing or unreadable."""
    if not path.is_file():
        raise UserError(f"{path} is missing: {needed_by}")
    try:
        return pd.read_parquet(path)
    except Exception as error:  # pyarrow raises many types for a broken file
        raise UserError(
            f"{path} is not a readable parquet file ({error}): delete it and run the cell again"
        ) from error


def read_ranks(path: Path, dataset: Dataset, expected_instances: pd.DataFrame | None = None) -> pd.DataFrame:
    """ranks.parquet of one run, checked and in the order of `instances`."""
    frame = read_parquet(path, "train this cell, or write the baseline's ranks there")
    return check_ranks(frame, dataset, str(path), expected_instances)


def check_ranks(
    frame: pd.DataFrame, dataset: Dataset, where: str, expected_instances: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the ranks in the order of `instances(dataset)`; UserError names `where` and what is wrong.

    Checked: columns and types, every validation and test instance exactly once with its own split, target and
    `last`, and counts that a catalogue of this size can give, with and without the prefix's items.
    """
    if expected_instances is None:
        expected_instances = instances(dataset)
    check_columns(frame, where)
    frame = in_order(frame, expected_instances, where)
    for column in ("split", "target", "last"):
        differs = np.flatnonzero(frame[column].to_numpy() != expected_instances[column].to_numpy())
        if len(differs):
            row = expected_instances.iloc[differs[0]]
            raise UserError(
                f"{where}: {column} of session {row.session}, position {row.position} is "
                f"{frame[column].iloc[differs[0]]}, the dataset says {row[column]} ({len(differs)} such rows)"
            )
    check_counts(frame, dataset.catalogue_size, expected_instances["seen"].to_numpy(), where)
    return frame


def check_columns(frame: pd.DataFrame, where: str) -> None:
    """Every column of the schema with its type; both columns of an optional pair or neither."""
    given = [pair for pair in OPTIONAL if not set(pair).isdisjoint(frame)]
    needed = [*NEEDED, *chain(*given)]
    for column in needed:
        if column not in frame:
            raise UserError(
                f"{where}: column {column!r} is missing{nearest(column, set(frame) - set(needed))}"
            )
        kind = frame[column].dtype
        if column == "split":
            right, wanted = (
                pd.api.types.is_string_dtype(kind) or isinstance(kind, pd.CategoricalDtype),
                "text",
            )
        elif column == "last":
            right, wanted = pd.api.types.is_bool_dtype(kind), "bool"
        else:
            right, wanted = (
                pd.api.types.is_integer_dtype(kind) and not frame[column].hasnans,
                "int32 without gaps",
            )
        if not right:
            raise UserError(f"{where}: column {column!r} is {kind}, it must be {wanted}")


def in_order(frame: pd.DataFrame, expected_instances: pd.DataFrame, where: str) -> pd.DataFrame:
    """The rows in the order of the instances; UserError where an instance is missing, doubled or unknown."""
    wanted = expected_instances["session"].to_numpy(np.int64) << 32 | expected_instances["position"].to_numpy(
        np.int64
    )
    found = frame["session"].to_numpy(np.int64) << 32 | frame["position"].to_numpy(np.int64)
    if len(wanted) == len(found) and (wanted == found).all():
        return frame
    faults = {
        "is not a validation or test instance of the dataset": np.setdiff1d(found, wanted),
        "is missing": np.setdiff1d(wanted, found),
        "occurs more than once": found[pd.Series(found).duplicated().to_numpy()],
    }
    for fault, keys in faults.items():
        if len(keys):
            instance = f"session {keys[0] >> 32}, position {keys[0] & 0xFFFFFFFF}"
            raise UserError(f"{where}: the instance of {instance} {fault} ({len(keys)} such instances)")
    row = np.empty(len(found), np.int64)
    row[np.argsort(wanted)] = np.argsort(found)
    return frame.iloc[row].reset_index(drop=True)


def check_counts(frame: pd.DataFrame, size: int, seen: np.ndarray, where: str) -> None:
    """above and ties of every part are counts of other items of a catalogue of `size` items."""
    for above, ties in (("above", "ties"), *((f"{part}_above", f"{part}_ties") for part in PARTS)):
        if above in frame:
            values = frame[above].to_numpy(np.int64), frame[ties].to_numpy(np.int64)
            for column, value in zip((above, ties), values, strict=True):
                refuse(value < 0, frame, f"{where}: {column} is negative")
            refuse(
                sum(values) >= size, frame, f"{where}: {above} + {ties} exceeds the {size - 1} other items"
            )
    if UNSEEN[0] in frame:
        check_unseen(frame, size, seen, where)


def check_unseen(frame: pd.DataFrame, size: int, seen: np.ndarray, where: str) -> None:
    """Without the prefix's items there are no more counts than with them; a target among them is behind all `size`."""
    above, ties = (frame[column].to_numpy(np.int64) for column in UNSEEN)
    refuse((above < 0) | (ties < 0), frame, f"{where}: above_unseen or ties_unseen is negative")
    wrong = seen & (above != size)
    refuse(
        wrong,
        frame,
        f"{where}: above_unseen must be the catalogue's size {size} where the prefix holds the target",
    )
    wrong = ~seen & ((above > frame["above"].to_numpy()) | (ties > frame["ties"].to_numpy()))
    refuse(wrong, frame, f"{where}: above_unseen or ties_unseen exceeds the count over the whole catalogue")


def refuse(wrong: np.ndarray, frame: pd.DataFrame, message: str) -> None:
    if wrong.any():
        row = frame.iloc[int(np.argmax(wrong))]
        raise UserError(
            f"{message}: session {row.session}, position {row.position} ({int(wrong.sum())} such rows)"
        )
