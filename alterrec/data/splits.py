"""Splits sessions into training, validation and test: as given, by time, at random or by leave-last-out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from alterrec.errors import UserError, nearest
from alterrec.sources._raw import DatasetConfig, Raw

SPLITS = ("train", "validation", "test")
SPLIT_SEED = 2024
ALL_BUT_FIRST = np.iinfo(np.int32).max  # `targets` of a session that predicts all its items but the first
NOTES = {
    "given": "Split as the source gives it.",
    "temporal": "Split by time: the latest {test:.0%} of the sessions are the test split, the {validation:.0%} before "
    "them the validation split.",
    "random": "Split at random by session with a fixed seed: {validation:.0%} validation and {test:.0%} test.",
    "leave_last_out": "Leave-last-out: the last item of every session is its test target, the item before it the "
    "validation target. The earlier items are for training.",
}
LIMITS = {
    "random": "A random split ignores time: some training sessions are later than test sessions. A result may not hold "
    "for sessions that come after all training sessions.",
    "leave_last_out": "Leave-last-out ignores time: training uses items that were visited after the test targets of "
    "other sessions. A result may not hold for sessions that come after all training sessions.",
}


def split_sessions(raw: Raw, config: DatasetConfig) -> Raw:
    """Add the columns split and targets to the sessions, and what the card says about the split.

    `targets` is how many of a session's last items are targets. Leave-last-out makes three sessions of each.
    UserError where the data lack what the split needs.
    """
    kind = config.split or _default_split(raw.sessions)
    needed = {"given": "split", "temporal": "time"}.get(kind)
    if needed and needed not in raw.sessions:
        raise UserError(
            f"split: {kind} needs sessions with a {needed}, which {raw.sessions_name} lacks: "
            "choose random or leave_last_out"
        )
    shares = {"validation": config.validation_share, "test": config.test_share}
    if sum(shares.values()) >= 1:
        raise UserError(
            "validation_share and test_share leave nothing for training: choose shares whose sum is below 1"
        )
    sessions = _SPLITTERS[kind](raw, shares)
    _require_known_splits(sessions, raw.sessions_name)
    note = NOTES[kind].format(**shares)
    limits = [LIMITS[kind]] if kind in LIMITS else []
    return replace(raw, sessions=sessions, notes=[*raw.notes, note], limits=[*raw.limits, *limits])


def _default_split(sessions: pd.DataFrame) -> str:
    return "given" if "split" in sessions else "temporal" if "time" in sessions else "random"


def _split_as_given(raw: Raw, shares: dict[str, float]) -> pd.DataFrame:
    return raw.sessions.assign(targets=ALL_BUT_FIRST)


def _split_at_random(raw: Raw, shares: dict[str, float]) -> pd.DataFrame:
    """The order of the rows makes no difference: sessions are sorted by id before they are drawn."""
    by_id = np.argsort(raw.sessions["session_id"].to_numpy(dtype=object), kind="stable")
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(by_id)
    names = np.full(len(by_id), "train", dtype=object)
    start = 0
    for split, share in shares.items():
        size = max(1, round(share * len(by_id)))
        names[shuffled[start : start + size]] = split
        start += size
    return raw.sessions.assign(split=names, targets=ALL_BUT_FIRST)


def _split_by_time(raw: Raw, shares: dict[str, float]) -> pd.DataFrame:
    """Sessions with the same time get the same split."""
    time = raw.sessions["time"].to_numpy()
    if pd.isna(time).any():
        raise UserError(
            f"{raw.sessions_name}: {pd.isna(time).sum()} sessions have no time: choose another split"
        )
    ordered = np.sort(time)
    size = len(time)
    test = ordered[min(size - 1, round((1 - shares["test"]) * size))]
    validation = ordered[min(size - 1, round((1 - sum(shares.values())) * size))]
    names = np.where(time >= test, "test", np.where(time >= validation, "validation", "train")).astype(object)
    return raw.sessions.assign(split=names, targets=ALL_BUT_FIRST)


def _split_leave_last_out(raw: Raw, shares: dict[str, float]) -> pd.DataFrame:
    """Make three sessions of each that has three items or more.

    Training gets all items but the last two. Validation gets all but the last and predicts only its last item.
    Test gets all items and predicts only the last.
    """
    sessions = raw.sessions.drop(columns=["split"], errors="ignore")
    items = [list(dict.fromkeys(row)) if raw.distinct else list(row) for row in sessions["items"]]
    sessions = sessions.assign(items=items)[[len(row) > 2 for row in items]]
    splits = (("train", -2, ALL_BUT_FIRST), ("validation", -1, 1), ("test", None, 1))
    frames = [
        sessions.assign(items=[row[:end] for row in sessions["items"]], split=split, targets=targets)
        for split, end, targets in splits
    ]
    return pd.concat(frames, ignore_index=True)


_SPLITTERS = {
    "given": _split_as_given,
    "temporal": _split_by_time,
    "random": _split_at_random,
    "leave_last_out": _split_leave_last_out,
}


def _require_known_splits(sessions: pd.DataFrame, name: str) -> None:
    unknown = sessions[~sessions["split"].isin(SPLITS)]
    if len(unknown):
        session, value = unknown["session_id"].iloc[0], unknown["split"].iloc[0]
        raise UserError(
            f"{name}: {len(unknown)} sessions have no valid split; {session!r} has {value!r}"
            f"{nearest(value, SPLITS)}; valid: {', '.join(SPLITS)}"
        )
