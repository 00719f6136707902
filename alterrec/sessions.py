"""Prepared datasets: sessions and a catalogue of items, and how they are made of what a source read.

A dataset's folder holds sessions.parquet (session_id, split, targets, items), items.parquet (item_id, text,
train_count, and vector where the source brings text vectors), card.json and card.md. An item is its row number
in items.parquet, a session its row number in sessions.parquet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alterrec.card import card_text, make_card
from alterrec.errors import UserError
from alterrec.files import atomic, read_json, write_json, write_text
from alterrec.sources.base import BadRows, DatasetConfig, Raw
from alterrec.splits import SPLITS, split_sessions

CUT_SEED = 1
PERMUTATION_SEED = 2


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sessions and catalogue. Session s holds the items flat[offsets[s]:offsets[s + 1]], in order.

    Shapes: session_id, split and targets [S]; flat int32 [T]; offsets int64 [S + 1]; item_id, text and
    train_count [N]. `targets` (int32) is how many of a session's last items are to be predicted, all but the first
    unless the split says otherwise. `train_count` (int32) counts occurrences in the training sessions: 0 for a
    cold item. `vectors` float32 [N, w] or None are the source's own text vectors; `load` leaves them on disk.
    """

    session_id: np.ndarray
    split: np.ndarray
    targets: np.ndarray
    flat: np.ndarray
    offsets: np.ndarray
    item_id: np.ndarray
    text: np.ndarray
    train_count: np.ndarray
    card: dict
    vectors: np.ndarray | None = None

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
        sessions = {
            "session_id": _strings(self.session_id),
            "split": _strings(self.split),
            "targets": pa.array(self.targets, pa.int32()),
            "items": items,
        }
        catalogue = {
            "item_id": _strings(self.item_id),
            "text": _strings(self.text),
            "train_count": pa.array(self.train_count, pa.int32()),
        }
        if self.vectors is not None:
            catalogue["vector"] = pa.FixedSizeListArray.from_arrays(
                self.vectors.astype(np.float32).ravel(), self.vectors.shape[1]
            )
        for name, columns in (("sessions", sessions), ("items", catalogue)):
            with atomic(Path(folder) / f"{name}.parquet") as temporary:
                pq.write_table(pa.table(columns), temporary, compression="zstd")
        write_json(Path(folder) / "card.json", self.card)
        write_text(Path(folder) / "card.md", card_text(self.card))

    @classmethod
    def load(cls, folder: str | Path) -> Dataset:
        """Read a prepared dataset. UserError where a file is missing, broken or contradicts another."""
        folder = Path(folder)
        sessions = _read_table(folder / "sessions.parquet", ["session_id", "split", "targets", "items"])
        items = _read_table(folder / "items.parquet", ["item_id", "text", "train_count"])
        lists = sessions["items"].combine_chunks()
        length = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
        dataset = cls(
            session_id=_objects(sessions["session_id"]),
            split=_objects(sessions["split"]),
            targets=sessions["targets"].to_numpy().astype(np.int32),
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


def load_vectors(folder: str | Path) -> np.ndarray:
    """[N, w] float32: the text vectors that a dataset's source brought. UserError where it brought none."""
    path = Path(folder) / "items.parquet"
    if "vector" not in pq.read_schema(path).names:
        raise UserError(f"{path} has no text vectors: `encoder: given` needs a source that brings them")
    column = pq.read_table(path, columns=["vector"])["vector"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(column), -1)


def prepare(raw: Raw, config: DatasetConfig, out: str | Path) -> Dataset:
    """Make sessions and a catalogue of what a source read; write them to the folder `out` and return them."""
    dataset = make_dataset(raw, config)
    dataset.save(out)
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
