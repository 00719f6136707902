"""The prepared dataset: sessions, the catalogue of items, and how both are stored.

A dataset's folder holds sessions.parquet (session_id, split, targets, items), items.parquet (item_id, text,
train_count, and vector if the source has text vectors), card.json and card.md. Code refers to an item by its row
number in items.parquet and to a session by its row number in sessions.parquet.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alterrec.data.splits import SPLITS
from alterrec.errors import UserError
from alterrec.files import atomic, file_checksum, read_json, write_json

FILES = ("sessions.parquet", "items.parquet")


@dataclass(frozen=True, eq=False)
class Dataset:
    """S sessions over a catalogue of N items. Session s holds the items flat[offsets[s]:offsets[s + 1]], in order.

    session_id, split   [S] str; a split is train, validation or test
    targets             [S] int32, how many of a session's last items are targets: all but the first, except under
                        leave-last-out
    flat                [T] int32, the items of all sessions one after another
    offsets             [S + 1] int64
    item_id, text       [N] str
    train_count         [N] int32, an item's occurrences in training sessions: 0 for a cold item
    vectors             [N, w] float32, the source's own text vectors, or None; `load` does not read them
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
        """Row numbers of the sessions of one split."""
        return np.flatnonzero(self.split == split)

    def items_of(self, session: int) -> np.ndarray:
        """The items of one session, in order, as a view into `flat`."""
        return self.flat[self.offsets[session] : self.offsets[session + 1]]

    def events_of(self, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[E] every item of the sessions of one split, in order: the session's number in the split, item and position.

        Sessions are numbered from 0 and positions from 1.
        """
        rows = self.sessions_of(split)
        start, length = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        session = np.repeat(np.arange(len(rows)), length)
        place = np.arange(len(session)) - np.repeat(np.cumsum(length) - length, length)
        return session, self.flat[start[session] + place], place + 1

    def save(self, folder: str | Path) -> None:
        """Write sessions.parquet, items.parquet, and card.json with their checksums; no file is ever partial."""
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
        checksums = {name: file_checksum(Path(folder) / name) for name in FILES}
        write_json(Path(folder) / "card.json", self.card | {"prepared": checksums})

    @classmethod
    def load(cls, folder: str | Path) -> Dataset:
        """Read a prepared dataset. UserError where a file is missing or broken or the files do not fit together."""
        folder = Path(folder)
        sessions = _read_table(folder / "sessions.parquet", ["session_id", "split", "targets", "items"])
        items = _read_table(folder / "items.parquet", ["item_id", "text", "train_count"])
        card = read_json(folder / "card.json") if (folder / "card.json").is_file() else {}
        checksums = card.pop("prepared", {})
        lists = sessions["items"].combine_chunks()
        lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
        dataset = cls(
            session_id=_objects(sessions["session_id"]),
            split=_objects(sessions["split"]),
            targets=sessions["targets"].to_numpy().astype(np.int32),
            flat=lists.flatten().to_numpy(zero_copy_only=False).astype(np.int32),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            item_id=_objects(items["item_id"]),
            text=_objects(items["text"]),
            train_count=items["train_count"].to_numpy().astype(np.int32),
            card=card,
        )
        problem = _damage(folder, checksums) or _inconsistency(dataset)
        if problem:
            raise UserError(f"{folder}: {problem}: delete the folder and prepare the dataset again")
        return dataset


def count_in_training(flat: np.ndarray, offsets: np.ndarray, split: np.ndarray, items: int) -> np.ndarray:
    """[items] int32: how often each item occurs in the training sessions."""
    split_of_event = np.repeat(split, np.diff(offsets))
    return np.bincount(flat[split_of_event == "train"], minlength=items).astype(np.int32)


def _damage(folder: Path, checksums: dict[str, str]) -> str | None:
    """Which of the files does not have the checksum with which it was written, or None. Older cards state none."""
    for name, checksum in checksums.items():
        if file_checksum(folder / name) != checksum:
            return f"{name} is damaged, since its checksum is not the one in card.json"
    return None


def _inconsistency(dataset: Dataset) -> str | None:
    """What does not fit together in a loaded dataset, or None."""
    size, flat = dataset.catalogue_size, dataset.flat
    outside = flat[(flat < 0) | (flat >= size)]
    if len(outside):
        return f"sessions.parquet names item {outside[0]}, the catalogue has {size} items"
    unknown = set(dataset.split) - set(SPLITS)
    if unknown:
        return f"sessions.parquet has the split {min(map(str, unknown))!r}; valid: {', '.join(SPLITS)}"
    counted = count_in_training(flat, dataset.offsets, dataset.split, size)
    if not np.array_equal(counted, dataset.train_count):
        return "train_count in items.parquet differs from the counts in the training sessions"
    return None


def _read_table(path: Path, columns: list[str]) -> pa.Table:
    if not path.is_file():
        raise UserError(f"{path} is missing: prepare the dataset first (python -m alterrec prepare)")
    try:
        return pq.read_table(path, columns=columns).select(columns).combine_chunks()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise UserError(
            f"{path} is not a prepared dataset's file: {error}: delete the folder and prepare it again"
        ) from error


def _strings(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype(object), pa.string())


def _objects(column: pa.ChunkedArray) -> np.ndarray:
    return column.to_numpy().astype(object)
