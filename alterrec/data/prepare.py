"""DOC."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from alterrec.data.card import card_text, make_card
from alterrec.data.dataset import Dataset, _train_count
from alterrec.data.splits import SPLITS, split_sessions
from alterrec.errors import UserError
from alterrec.files import write_text
from alterrec.readers.bad_rows import BadRows
from alterrec.sources._raw import DatasetConfig, Raw

CUT_SEED = 1


PERMUTATION_SEED = 2


def prepare(raw: Raw, config: DatasetConfig, out: str | Path) -> Dataset:
    """Make sessions and a catalogue of what a source read; write them to the folder `out` and return them."""
    dataset = make_dataset(raw, config)
    dataset.save(out)
    write_text(Path(out) / "card.md", card_text(dataset.card))
    return dataset


def make_dataset(raw: Raw, config: DatasetConfig) -> Dataset:
    """Sessions and a catalogue of what a source read.

    In this order: sessions get their split, repeated items leave a session (where the source says so), long
    sessions keep their last items, sessions of fewer than two items go, `max_sessions` cuts every split alike,
    `min_count` filters the training sessions once. The catalogue is what then occurs, in the source's order.
    UserError where the data contradict themselves or a split ends up empty.
    """
    raw, repeated = _without_repeated_ids(raw, config)
    raw = split_sessions(raw, config)
    events, unknown = _events(raw, config)
    events, changes = _select(events, raw, config)
    changes = repeated | unknown | changes
    for split in SPLITS:
        if not (raw.sessions["split"].to_numpy()[events["session"]] == split).any():
            steps = "; ".join(f"{what}: {count}" for what, count in changes.items())
            raise UserError(f"{raw.sessions_name}: no {split} session of two items or more is left ({steps})")
    dataset = _assemble(events, raw, config)
    return replace(dataset, card=make_card(raw, config, dataset, changes))


def _without_repeated_ids(raw: Raw, config: DatasetConfig) -> tuple[Raw, dict[str, int]]:
    """The first row of every session and item id. UserError for a second one, unless such rows are dropped."""
    sessions = raw.sessions[_first(raw.sessions["session_id"])]
    first = _first(raw.items["item_id"])
    counts = {}
    for frame, kept, key, name in (
        (raw.sessions, sessions, "session_id", raw.sessions_name),
        (raw.items, raw.items[first], "item_id", raw.items_name),
    ):
        if len(kept) < len(frame):
            bad = BadRows(name, config.on_error)
            twice = frame[key][~_first(frame[key])]
            ids = twice.unique()
            message = f"{len(ids)} {key} occur more than once: {_first_three(ids)}"
            bad.add(f"{key} that occurs before", message, rows=len(twice))
            counts |= bad.counts
    vectors = raw.vectors if raw.vectors is None else raw.vectors[first]
    items = raw.items[first].reset_index(drop=True)
    return replace(raw, sessions=sessions.reset_index(drop=True), items=items, vectors=vectors), counts


def _first(ids: pd.Series) -> np.ndarray:
    return ~ids.duplicated().to_numpy()


def _events(raw: Raw, config: DatasetConfig) -> tuple[pd.DataFrame, dict[str, int]]:
    """One row per item of a session, in order: session and item, both row numbers of `raw`'s tables."""
    lists = pa.array(raw.sessions["items"], pa.large_list(pa.large_string()))
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    length = lists.value_lengths().fill_null(0).to_numpy()
    items = lists.flatten()
    rows = pc.index_in(items, pa.array(raw.items["item_id"], pa.large_string())).fill_null(-1).to_numpy()
    events = pd.DataFrame({"session": np.repeat(np.arange(len(length)), length), "item": rows})
    unknown = np.flatnonzero(rows < 0)
    if not len(unknown):
        return events, {}
    bad = BadRows(raw.sessions_name, config.on_error)
    names = pc.unique(items.take(pa.array(unknown))).to_pylist()
    message = f"{len(names)} items are not in {raw.items_name}: {_first_three(names)}"
    bad.add(f"item that is not in {raw.items_name}", message, rows=len(unknown))
    return events[rows >= 0], bad.counts


def _select(events: pd.DataFrame, raw: Raw, config: DatasetConfig) -> tuple[pd.DataFrame, dict[str, int]]:
    """The events that are kept, and how many sessions or events each step changed."""
    split = raw.sessions["split"].to_numpy()
    changes = {"sessions read": len(split)}
    if raw.distinct:
        events = events.drop_duplicates(["session", "item"])
    if config.max_length is not None:
        long = _length(events) > config.max_length
        changes[f"sessions cut to {config.max_length} items"] = events["session"][long].nunique()
        events = events[events.groupby("session").cumcount(ascending=False) < config.max_length]
    events = events[_length(events) >= 2]
    remaining = events["session"].unique()
    changes["sessions of fewer than two items, dropped"] = len(split) - len(remaining)
    if config.max_sessions is not None:
        chosen = _cut(remaining, raw.sessions, config.max_sessions)
        events = events[events["session"].isin(chosen)]
        changes["sessions left out by max_sessions"] = len(remaining) - len(chosen)
        remaining = chosen
    training = split[events["session"]] == "train"
    count = np.bincount(events["item"][training], minlength=len(raw.items))
    rare = training & (count[events["item"]] < config.min_count)
    changes["training events of items below min_count, dropped"] = int(rare.sum())
    events = events[~rare]
    events = events[_length(events) >= 2]
    left = events["session"].nunique()
    changes["training sessions left with fewer than two items, dropped"] = len(remaining) - left
    return events, changes


def _length(events: pd.DataFrame) -> pd.Series:
    """Of every event, the number of events in its session."""
    return events.groupby("session")["item"].transform("size")


def _cut(rows: np.ndarray, sessions: pd.DataFrame, size: int) -> np.ndarray:
    """About `size` of the sessions, the same share of every split, at least one, drawn with a fixed seed.

    Where a session is in every split (leave-last-out), it stays or goes in all of them.
    """
    generator = np.random.default_rng(CUT_SEED)
    ids = sessions["session_id"].to_numpy(dtype=object)[rows]
    if not sessions["session_id"].is_unique:
        whole = np.unique(ids)
        return rows[np.isin(ids, generator.choice(whole, min(size, len(whole)), replace=False))]
    share = min(1, size / max(1, len(rows)))
    chosen = []
    for name in SPLITS:
        own = rows[sessions["split"].to_numpy()[rows] == name]
        number = min(len(own), max(1, round(share * len(own))))
        chosen.append(generator.choice(own, number, replace=False))
    return np.sort(np.concatenate(chosen))


def _assemble(events: pd.DataFrame, raw: Raw, config: DatasetConfig) -> Dataset:
    sessions, length = np.unique(events["session"], return_counts=True)
    rows, flat = np.unique(events["item"], return_inverse=True)
    chosen = raw.sessions.iloc[sessions]
    split = chosen["split"].to_numpy(dtype=object)
    described = rows
    if config.text_control == "permuted":
        described = rows[np.random.default_rng(PERMUTATION_SEED).permutation(len(rows))]
    return Dataset(
        session_id=chosen["session_id"].to_numpy(dtype=object),
        split=split,
        targets=np.minimum(chosen["targets"].to_numpy(), length - 1).astype(np.int32),
        flat=flat.astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(length)]).astype(np.int64),
        item_id=raw.items["item_id"].to_numpy(dtype=object)[rows],
        text=raw.items["text"].to_numpy(dtype=object)[described],
        train_count=_train_count(flat, np.repeat(split, length), len(rows)),
        card={},
        vectors=None if raw.vectors is None else raw.vectors[described],
    )


def _first_three(values) -> str:
    return ", ".join(map(repr, list(values)[:3])) + (", ..." if len(values) > 3 else "")
