"""The file ranks.parquet of a run: its columns, and the check that it covers every instance of the dataset.

Baselines in other programs write this file too, so every fault is an error that names the file and the row.
"""

from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from alterrec.data.dataset import Dataset
from alterrec.errors import UserError, nearest
from alterrec.ranking.instances import instance_table

PARTS = ("id", "text")
NEEDED = ("split", "session", "position", "target", "last", "above", "ties")
UNSEEN = ("above_unseen", "ties_unseen")
OPTIONAL = (UNSEEN, *((f"{part}_above", f"{part}_ties") for part in PARTS))
"""Pairs of columns that a file may leave out: the ranks among unseen items, and the ranks of each part."""


def read_parquet(path: Path, advice: str = "run this cell again") -> pd.DataFrame:
    """A parquet file as a DataFrame; UserError with `advice` if it is missing, or if it cannot be read."""
    if not path.is_file():
        raise UserError(f"{path} is missing: {advice}")
    try:
        return pd.read_parquet(path)
    except Exception as error:  # pyarrow raises many types for a broken file
        raise UserError(
            f"{path} is not a readable parquet file ({error}): delete it and run the cell again"
        ) from error


def read_ranks(path: Path, dataset: Dataset, instances: pd.DataFrame | None = None) -> pd.DataFrame:
    """The checked ranks.parquet of one run, in the order of `instance_table(dataset)`."""
    frame = read_parquet(path, "train this cell, or write the baseline's ranks there")
    return check_ranks(frame, dataset, str(path), instances)


def check_ranks(
    frame: pd.DataFrame, dataset: Dataset, file: str, instances: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the ranks in the order of the instances; UserError names `file`, the row and the fault.

    `instances` is `instance_table(dataset)`, computed if it is not given. Checked are the columns and their types, that
    every validation and test instance occurs exactly once with its own split, target and `last`, and that the counts
    are possible in a catalogue of this size, with and without the prefix's items.
    """
    if instances is None:
        instances = instance_table(dataset)
    check_columns(frame, file)
    frame = sort_like(frame, instances, file)
    for column in ("split", "target", "last"):
        differs = np.flatnonzero(frame[column].to_numpy() != instances[column].to_numpy())
        if len(differs):
            row = instances.iloc[differs[0]]
            raise UserError(
                f"{file}: {column} of session {row.session}, position {row.position} is "
                f"{frame[column].iloc[differs[0]]}, the dataset says {row[column]} ({len(differs)} such rows)"
            )
    check_counts(frame, dataset.catalogue_size, instances["seen"].to_numpy(), file)
    return frame


def check_columns(frame: pd.DataFrame, file: str) -> None:
    """Every needed column is there with its type; an optional pair has both columns or neither."""
    given = [pair for pair in OPTIONAL if not set(pair).isdisjoint(frame)]
    needed = [*NEEDED, *chain(*given)]
    for column in needed:
        if column not in frame:
            raise UserError(
                f"{file}: column {column!r} is missing{nearest(column, set(frame) - set(needed))}"
            )
        found = frame[column].dtype
        if column == "split":
            right = pd.api.types.is_string_dtype(found) or isinstance(found, pd.CategoricalDtype)
            wanted = "text"
        elif column == "last":
            right, wanted = pd.api.types.is_bool_dtype(found), "bool"
        else:
            right = pd.api.types.is_integer_dtype(found) and not frame[column].hasnans
            wanted = "int32 without missing values"
        if not right:
            raise UserError(f"{file}: column {column!r} is {found}, it must be {wanted}")


def sort_like(frame: pd.DataFrame, instances: pd.DataFrame, file: str) -> pd.DataFrame:
    """The rows in the order of `instances`; UserError if an instance is missing, repeated or unknown."""
    wanted, found = instance_key(instances), instance_key(frame)
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
            raise UserError(f"{file}: the instance of {instance} {fault} ({len(keys)} such instances)")
    row = np.empty(len(found), np.int64)
    row[np.argsort(wanted)] = np.argsort(found)
    return frame.iloc[row].reset_index(drop=True)


def instance_key(frame: pd.DataFrame) -> np.ndarray:
    """[I] one int64 per instance: the session in the upper 32 bits, the position in the lower."""
    return frame["session"].to_numpy(np.int64) << 32 | frame["position"].to_numpy(np.int64)


def check_counts(frame: pd.DataFrame, size: int, seen: np.ndarray, file: str) -> None:
    """The counts `above` and `ties` of the model and its parts are possible in a catalogue of `size` items."""
    for above, ties in (("above", "ties"), *((f"{part}_above", f"{part}_ties") for part in PARTS)):
        if above in frame:
            values = frame[above].to_numpy(np.int64), frame[ties].to_numpy(np.int64)
            for column, value in zip((above, ties), values, strict=True):
                raise_if_any(value < 0, frame, f"{file}: {column} is negative")
            message = f"{file}: {above} + {ties} exceeds the {size - 1} other items"
            raise_if_any(sum(values) >= size, frame, message)
    if UNSEEN[0] in frame:
        check_unseen(frame, size, seen, file)


def check_unseen(frame: pd.DataFrame, size: int, seen: np.ndarray, file: str) -> None:
    """Leaving out the prefix's items raises no count, but a target in its prefix must rank after all `size` items."""
    above, ties = (frame[column].to_numpy(np.int64) for column in UNSEEN)
    raise_if_any((above < 0) | (ties < 0), frame, f"{file}: above_unseen or ties_unseen is negative")
    message = f"{file}: above_unseen must be the catalogue's size {size} where the prefix holds the target"
    raise_if_any(seen & (above != size), frame, message)
    larger = ~seen & ((above > frame["above"].to_numpy()) | (ties > frame["ties"].to_numpy()))
    message = f"{file}: above_unseen or ties_unseen exceeds the count over the whole catalogue"
    raise_if_any(larger, frame, message)


def raise_if_any(wrong: np.ndarray, frame: pd.DataFrame, message: str) -> None:
    """UserError with the first of the `wrong` rows [I], if there is one."""
    if wrong.any():
        row = frame.iloc[int(np.argmax(wrong))]
        raise UserError(
            f"{message}: session {row.session}, position {row.position} ({int(wrong.sum())} such rows)"
        )
