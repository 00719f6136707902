"""The instances (prefix, target) of a dataset as rows of a table: the keys of everything that is ranked."""

import numpy as np
import pandas as pd

from alterrec.data.dataset import Dataset


def instance_rows(index: np.ndarray, dataset: Dataset, split: str) -> pd.DataFrame:
    """One row per instance of a split; `index` [I] is the place of each target in `dataset.flat`.

    Columns: split, session, position (the length of the prefix), target, and last (whether the target is the last
    item of its session).
    """
    session = np.searchsorted(dataset.offsets, index, side="right") - 1
    return pd.DataFrame(
        {
            "split": split,
            "session": session.astype(np.int32),
            "position": (index - dataset.offsets[session]).astype(np.int32),
            "target": dataset.flat[index].astype(np.int32),
            "last": index == dataset.offsets[session + 1] - 1,
        }
    )


def instance_table(dataset: Dataset) -> pd.DataFrame:
    """All validation and then all test instances, by session and position.

    Columns: those of `instance_rows`, and seen (whether the prefix holds the target).
    """
    length = np.diff(dataset.offsets)
    session = np.repeat(np.arange(len(length)), length)
    position = np.arange(len(dataset.flat)) - dataset.offsets[session]
    session_and_item = session * np.int64(dataset.catalogue_size) + dataset.flat
    seen = np.ones(len(session_and_item), bool)
    seen[np.unique(session_and_item, return_index=True)[1]] = False
    is_target = position >= (length - dataset.targets)[session]
    split_of_event = np.asarray(dataset.split)[session]
    tables = []
    for split in ("validation", "test"):
        index = np.flatnonzero((split_of_event == split) & is_target)
        tables.append(instance_rows(index, dataset, split).assign(seen=seen[index]))
    return pd.concat(tables, ignore_index=True)
