"""Prepared datasets: sessions and a catalogue of items, and how they are made of what a source read.

A dataset's folder holds sessions.parquet (session_id, split, items), items.parquet (item_id, text,
train_count), card.json and card.md. An item is its row number in items.parquet, a session its row number in
sessions.parquet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alterrec.card import card_text, make_card
from alterrec.errors import UserError, nearest
from alterrec.files import atomic, read_json, write_json, write_text
from alterrec.sources.base import DatasetConfig, Raw

SPLITS = ("train", "validation", "test")
CUT_SEED = 1
PERMUTATION_SEED = 2


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sessions and catalogue. Session s holds the items flat[offsets[s]:offsets[s + 1]], in order.

    Shapes: session_id and split [S]; flat int32 [T]; offsets int64 [S + 1]; item_id, text and train_count
    [N]. `train_count` (int32) counts occurrences in the training sessions: 0 for a cold item.
    """

    session_id: np.ndarray
    split: np.ndarray
    flat: np.ndarray
    offsets: np.ndarray
    item_id: np.ndarray
    text: np.ndarray
    train_count: np.ndarray
    card: dict

    @property
    def catalogue_size(self) -> int:
        return len(self.item_id)

    def sessions_of(self, split: str) -> np.ndarray:
        """Row numbers of a split's sessions."""
        return np.flatnonzero(self.split == split)

    def items_of(self, session: int) -> np.ndarray:
        """The items of one session, in order: a view into `flat`."""
        return self.flat[self.offsets[session] : self.offsets[session + 1]]

    def save(self, folder: str | Path) -> None:
        """Write the dataset's four files, each whole or not at all."""
        items = pa.ListArray.from_arrays(self.offsets.astype(np.int32), self.flat.astype(np.int32))
        sessions = {"session_id": _strings(self.session_id), "split": _strings(self.split), "items": items}
        catalogue = {
            "item_id": _strings(self.item_id),
            "text": _strings(self.text),
            "train_count": pa.array(self.train_count, pa.int32()),
        }
        for name, columns in (("sessions", sessions), ("items", catalogue)):
            with atomic(Path(folder) / f"{name}.parquet") as temporary:
                pq.write_table(pa.table(columns), temporary, compression="zstd")
        write_json(Path(folder) / "card.json", self.card)
        write_text(Path(folder) / "card.md", card_text(self.card))

    @classmethod
    def load(cls, folder: str | Path) -> Dataset:
        """Read a prepared dataset. UserError where a file is missing, broken or contradicts another."""
        folder = Path(folder)
        sessions = _read_table(folder / "sessions.parquet", ["session_id", "split", "items"])
        items = _read_table(folder / "items.parquet", ["item_id", "text", "train_count"])
        lists = sessions["items"].combine_chunks()
        length = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
        dataset = cls(
            session_id=_objects(sessions["session_id"]),
            split=_objects(sessions["split"]),
            flat=lists.flatten().to_numpy(zero_copy_only=False).astype(np.int32),
            offsets=np.concatenate([[0], np.cumsum(length)]).astype(np.int64),
            item_id=_objects(items["item_id"]),
            text=_objects(items["text"]),
            train_count=items["train_count"].to_numpy().astype(np.int32),
            card=read_json(folder / "card.json") if (folder / "card.json").is_file() else {},
        )
        problem = _problem(dataset)
        if problem:
            raise UserError(f"{folder}: {problem}: delete the folder and prepare the dataset again")
        return dataset


def prepare(raw: Raw, config: DatasetConfig, out: str | Path) -> Dataset:
    """Make sessions and a catalogue of what a source read; write them to the folder `out` and return them.

    In this order: repeated items leave a session (where the source says so), long sessions keep their last
    items, sessions of fewer than two items go, `max_sessions` cuts every split alike, `min_count` filters the
    training sessions once. The catalogue is what then occurs, in the source's order. UserError where the data
    contradict themselves or a split ends up empty.
    """
    _check(raw)
    events, changes = _select(_events(raw), raw, config)
    for split in SPLITS:
        if not (raw.sessions["split"].to_numpy()[events["session"]] == split).any():
            steps = "; ".join(f"{what}: {count}" for what, count in changes.items())
            raise UserError(f"{raw.sessions_name}: no {split} session of two items or more is left ({steps})")
    dataset = _assemble(events, raw, config)
    dataset = replace(dataset, card=make_card(raw, config, dataset, changes))
    dataset.save(out)
    return dataset


def _check(raw: Raw) -> None:
    """UserError for ids that occur twice and splits of another name."""
    ids = (raw.sessions, "session_id", raw.sessions_name), (raw.items, "item_id", raw.items_name)
    for frame, key, name in ids:
        twice = frame[key][frame[key].duplicated()].unique()
        if len(twice):
            raise UserError(f"{name}: {len(twice)} {key} occur more than once: {_first_three(twice)}")
    wrong = raw.sessions[~raw.sessions["split"].isin(SPLITS)]
    if len(wrong):
        session, value = wrong["session_id"].iloc[0], wrong["split"].iloc[0]
        raise UserError(
            f"{raw.sessions_name}: {len(wrong)} sessions have no valid split; {session!r} has {value!r}"
            f"{nearest(value, SPLITS)}; valid: {', '.join(SPLITS)}"
        )


def _events(raw: Raw) -> pd.DataFrame:
    """One row per item of a session, in order: session and item, both row numbers of `raw`'s tables."""
    length = raw.sessions["items"].map(len).to_numpy(dtype=np.int64)
    items = np.fromiter(chain.from_iterable(raw.sessions["items"]), dtype=object, count=length.sum())
    rows = pd.Index(raw.items["item_id"]).get_indexer(items)
    unknown = pd.unique(items[rows < 0])
    if len(unknown):
        raise UserError(
            f"{raw.sessions_name}: {len(unknown)} items are not in {raw.items_name}: {_first_three(unknown)}"
        )
    return pd.DataFrame({"session": np.repeat(np.arange(len(length)), length), "item": rows})


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
        chosen = _cut(remaining, split, config.max_sessions)
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


def _cut(sessions: np.ndarray, split: np.ndarray, size: int) -> np.ndarray:
    """About `size` of the sessions, the same share of every split, at least one, drawn with a fixed seed."""
    share, generator = min(1, size / max(1, len(sessions))), np.random.default_rng(CUT_SEED)
    chosen = []
    for name in SPLITS:
        rows = sessions[split[sessions] == name]
        number = min(len(rows), max(1, round(share * len(rows))))
        chosen.append(generator.choice(rows, number, replace=False))
    return np.sort(np.concatenate(chosen))


def _assemble(events: pd.DataFrame, raw: Raw, config: DatasetConfig) -> Dataset:
    sessions, length = np.unique(events["session"], return_counts=True)
    rows, flat = np.unique(events["item"], return_inverse=True)
    split = raw.sessions["split"].to_numpy(dtype=object)[sessions]
    texts = raw.items["text"].to_numpy(dtype=object)[rows]
    if config.text_control == "permuted":
        texts = texts[np.random.default_rng(PERMUTATION_SEED).permutation(len(texts))]
    return Dataset(
        session_id=raw.sessions["session_id"].to_numpy(dtype=object)[sessions],
        split=split,
        flat=flat.astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(length)]).astype(np.int64),
        item_id=raw.items["item_id"].to_numpy(dtype=object)[rows],
        text=texts,
        train_count=_train_count(flat, np.repeat(split, length), len(rows)),
        card={},
    )


def _train_count(flat: np.ndarray, split_of_event: np.ndarray, items: int) -> np.ndarray:
    return np.bincount(flat[split_of_event == "train"], minlength=items).astype(np.int32)


def _problem(dataset: Dataset) -> str | None:
    """What is wrong with a loaded dataset, if anything is."""
    size, flat = dataset.catalogue_size, dataset.flat
    outside = flat[(flat < 0) | (flat >= size)]
    if len(outside):
        return f"sessions.parquet names item {outside[0]}, the catalogue has {size}"
    wrong = set(dataset.split) - set(SPLITS)
    if wrong:
        return f"sessions.parquet has the split {min(map(str, wrong))!r}; valid: {', '.join(SPLITS)}"
    split_of_event = np.repeat(dataset.split, np.diff(dataset.offsets))
    if not np.array_equal(_train_count(flat, split_of_event, size), dataset.train_count):
        return "train_count of items.parquet is not what the training sessions hold"
    return None


def _read_table(path: Path, columns: list[str]) -> pa.Table:
    if not path.is_file():
        raise UserError(f"{path} is missing: prepare the dataset first (python -m alterrec prepare)")
    try:
        return pq.read_table(path, columns=columns).select(columns).combine_chunks()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise UserError(f"{path} is not a prepared dataset's file: {error}") from error


def _strings(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype(object), pa.string())


def _objects(column: pa.ChunkedArray) -> np.ndarray:
    return column.to_numpy().astype(object)


def _first_three(values) -> str:
    return ", ".join(map(repr, list(values)[:3])) + (", ..." if len(values) > 3 else "")
