"""Makes a prepared dataset from what a source read: splits the sessions, drops rows and numbers the items.

Every step writes into `step_counts` how much it dropped; the dataset's card shows these counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from alterrec.data.card import card_text, make_card
from alterrec.data.dataset import Dataset, count_in_training
from alterrec.data.splits import SPLITS, split_sessions
from alterrec.errors import UserError
from alterrec.files import clear_partial, write_text
from alterrec.readers.bad_rows import BadRows
from alterrec.sources._raw import DatasetConfig, Raw

SUBSET_SEED = 1
PERMUTATION_SEED = 2


def prepare(raw: Raw, config: DatasetConfig, out: str | Path) -> Dataset:
    """Make a dataset from what a source read, write it to the folder `out` and return it.

    Of an older dataset in the folder, the card and the text vectors are removed first: if this process is killed, neither
    can pass for a part of the new dataset.
    """
    dataset = make_dataset(raw, config)
    clear_partial(Path(out))
    for path in (Path(out) / "card.json", *Path(out).glob("text/*.safetensors")):
        path.unlink(missing_ok=True)
    dataset.save(out)
    write_text(Path(out) / "card.md", card_text(dataset.card))
    return dataset


def make_dataset(raw: Raw, config: DatasetConfig) -> Dataset:
    """Make sessions and a catalogue from what a source read, in these steps:

    1. Drop sessions and items whose id occurred in an earlier row.
    2. Drop items of sessions that the item table lacks: before the split, so that leave-last-out ends with known items.
    3. Assign every session to a split.
    4. If the source says so (`Raw.distinct`), keep only the first occurrence of an item in a session.
    5. Shorten every session to its last `max_length` items.
    6. Drop sessions of fewer than two items.
    7. Draw about `max_sessions` of the sessions, the same share of every split.
    8. Drop items that occur fewer than `min_count` times in training from the training sessions, once.
    9. Number the items that are left, in the source's order: they are the catalogue. For a twin, permute their texts.

    UserError where ids repeat or items are unknown (unless `on_error: drop`) and where a split ends up empty.
    """
    step_counts: dict[str, int] = {}
    raw = _drop_repeated_ids(raw, config, step_counts)
    raw = _drop_unknown_items(raw, config, step_counts)
    raw = split_sessions(raw, config)
    events = _numbered_events(raw)
    step_counts["sessions read"] = len(raw.sessions)
    if raw.distinct:
        events = events.drop_duplicates(["session", "item"])
    if config.max_length is not None:
        events = _keep_last_items(events, config.max_length, step_counts)
    events = _drop_short_sessions(events, raw, step_counts)
    if config.max_sessions is not None:
        events = _draw_sessions(events, raw.sessions, config.max_sessions, step_counts)
    events = _drop_rare_training_items(events, raw, config.min_count, step_counts)
    _require_every_split(events, raw, step_counts)
    dataset = _number_items(events, raw, permute_texts=config.text_control == "permuted")
    return replace(dataset, card=make_card(raw, config, dataset, step_counts))


def _drop_repeated_ids(raw: Raw, config: DatasetConfig, step_counts: dict[str, int]) -> Raw:
    """Keep the first row of every session id and item id. UserError for a second one, unless rows may be dropped."""
    repeated_session = raw.sessions["session_id"].duplicated()
    repeated_item = raw.items["item_id"].duplicated()
    for ids, repeated, name in (
        (raw.sessions["session_id"], repeated_session, raw.sessions_name),
        (raw.items["item_id"], repeated_item, raw.items_name),
    ):
        if repeated.any():
            bad = BadRows(name, config.on_error)
            examples = ids[repeated].unique()
            message = f"{len(examples)} {ids.name} occur more than once: {_first_three(examples)}"
            bad.add(f"{ids.name} that occurs before", message, rows=int(repeated.sum()))
            step_counts |= bad.counts
    return replace(
        raw,
        sessions=raw.sessions[~repeated_session].reset_index(drop=True),
        items=raw.items[~repeated_item].reset_index(drop=True),
        vectors=None if raw.vectors is None else raw.vectors[~repeated_item.to_numpy()],
    )


def _drop_unknown_items(raw: Raw, config: DatasetConfig, step_counts: dict[str, int]) -> Raw:
    """Leave out of every session the items that the item table lacks. UserError for one, unless rows may be dropped."""
    if (_numbered_events(raw)["item"] >= 0).all():
        return raw
    known = set(raw.items["item_id"])
    lists = [() if row is None else row for row in raw.sessions["items"]]
    unknown = [item for row in lists for item in row if item not in known]
    bad = BadRows(raw.sessions_name, config.on_error)
    examples = list(dict.fromkeys(unknown))
    message = f"{len(examples)} items are not in {raw.items_name}: {_first_three(examples)}"
    bad.add(f"item that is not in {raw.items_name}", message, rows=len(unknown))
    step_counts |= bad.counts
    kept = pd.Series([[item for item in row if item in known] for row in lists], raw.sessions.index, object)
    return replace(raw, sessions=raw.sessions.assign(items=kept))


def _numbered_events(raw: Raw) -> pd.DataFrame:
    """One row (event) per item of a session, in order: `session` and `item`, row numbers of the tables in `raw`.

    The number of an item that the table lacks is -1.
    """
    lists = pa.array(raw.sessions["items"], pa.large_list(pa.large_string()))
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    lengths = lists.value_lengths().fill_null(0).to_numpy()
    rows = (
        pc.index_in(lists.flatten(), pa.array(raw.items["item_id"], pa.large_string()))
        .fill_null(-1)
        .to_numpy()
    )
    return pd.DataFrame({"session": np.repeat(np.arange(len(lengths)), lengths), "item": rows})


def _keep_last_items(events: pd.DataFrame, max_length: int, step_counts: dict[str, int]) -> pd.DataFrame:
    too_long = _session_length(events) > max_length
    step_counts[f"sessions cut to {max_length} items"] = events["session"][too_long].nunique()
    return events[events.groupby("session").cumcount(ascending=False) < max_length]


def _drop_short_sessions(events: pd.DataFrame, raw: Raw, step_counts: dict[str, int]) -> pd.DataFrame:
    """Keep sessions of at least two items: a shorter one has no pair of prefix and target."""
    events = events[_session_length(events) >= 2]
    step_counts["sessions of fewer than two items, dropped"] = len(raw.sessions) - events["session"].nunique()
    return events


def _draw_sessions(
    events: pd.DataFrame, sessions: pd.DataFrame, size: int, step_counts: dict[str, int]
) -> pd.DataFrame:
    """Keep about `size` sessions, drawn with a fixed seed: the same share of every split, at least one of each.

    Leave-last-out has every session in all three splits: it then stays in all of them or in none.
    """
    generator = np.random.default_rng(SUBSET_SEED)
    rows = events["session"].unique()
    if sessions["session_id"].is_unique:
        split = sessions["split"].to_numpy()[rows]
        chosen = _draw_from_every_split(rows, split, size, generator)
    else:
        ids = sessions["session_id"].to_numpy(dtype=object)[rows]
        distinct = np.unique(ids)
        drawn = generator.choice(distinct, min(size, len(distinct)), replace=False)
        chosen = rows[np.isin(ids, drawn)]
    step_counts["sessions left out by max_sessions"] = len(rows) - len(chosen)
    return events[events["session"].isin(chosen)]


def _draw_from_every_split(
    rows: np.ndarray, split: np.ndarray, size: int, generator: np.random.Generator
) -> np.ndarray:
    share = min(1, size / max(1, len(rows)))
    chosen = []
    for name in SPLITS:
        candidates = rows[split == name]
        number = min(len(candidates), max(1, round(share * len(candidates))))
        chosen.append(generator.choice(candidates, number, replace=False))
    return np.concatenate(chosen)


def _drop_rare_training_items(
    events: pd.DataFrame, raw: Raw, min_count: int, step_counts: dict[str, int]
) -> pd.DataFrame:
    """Drop rare items from training sessions, then training sessions of fewer than two items.

    This is done once: an item that becomes rare only because sessions were dropped stays.
    """
    sessions = events["session"].nunique()
    in_training = raw.sessions["split"].to_numpy()[events["session"]] == "train"
    counts = np.bincount(events["item"][in_training], minlength=len(raw.items))
    rare = in_training & (counts[events["item"]] < min_count)
    events = events[~rare]
    events = events[_session_length(events) >= 2]
    step_counts["training events of items below min_count, dropped"] = int(rare.sum())
    step_counts["training sessions left with fewer than two items, dropped"] = (
        sessions - events["session"].nunique()
    )
    return events


def _require_every_split(events: pd.DataFrame, raw: Raw, step_counts: dict[str, int]) -> None:
    present = set(raw.sessions["split"].to_numpy()[events["session"].unique()])
    for split in SPLITS:
        if split not in present:
            steps = "; ".join(f"{what}: {count}" for what, count in step_counts.items())
            raise UserError(
                f"{raw.sessions_name}: no {split} session of two items or more is left ({steps}): "
                "check the split of the data, or drop fewer sessions by `min_count` and `max_sessions`"
            )


def _number_items(events: pd.DataFrame, raw: Raw, permute_texts: bool) -> Dataset:
    """The dataset, without its card: items and sessions that occur in `events`, numbered from 0 in their old order."""
    sessions, lengths = np.unique(events["session"], return_counts=True)
    rows, flat = np.unique(events["item"], return_inverse=True)
    kept = raw.sessions.iloc[sessions]
    split = kept["split"].to_numpy(dtype=object)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    text_rows = rows
    if permute_texts:
        text_rows = rows[np.random.default_rng(PERMUTATION_SEED).permutation(len(rows))]
    return Dataset(
        session_id=kept["session_id"].to_numpy(dtype=object),
        split=split,
        targets=np.minimum(kept["targets"].to_numpy(), lengths - 1).astype(np.int32),
        flat=flat.astype(np.int32),
        offsets=offsets,
        item_id=raw.items["item_id"].to_numpy(dtype=object)[rows],
        text=raw.items["text"].to_numpy(dtype=object)[text_rows],
        train_count=count_in_training(flat, offsets, split, len(rows)),
        card={},
        vectors=None if raw.vectors is None else raw.vectors[text_rows],
    )


def _session_length(events: pd.DataFrame) -> pd.Series:
    """For every event, the number of events in its session."""
    return events.groupby("session")["item"].transform("size")


def _first_three(values: Sequence[str]) -> str:
    return ", ".join(map(repr, list(values)[:3])) + (", ..." if len(values) > 3 else "")
