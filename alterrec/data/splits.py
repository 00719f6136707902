"""Which sessions train, validate and test: as given, by time, by chance, or every session's last items held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from alterrec.errors import UserError, nearest
from alterrec.sources._raw import DatasetConfig, Raw

SPLITS = ("train", "validation", "test")
SPLIT_SEED = 2024
ALL = np.iinfo(np.int32).max  # all items of a session but the first are targets
NOTES = {
    "given": "Split as the source gives it.",
    "temporal": "Split by time: the latest {test:.0%} of the sessions are test, those before ({validation:.0%}) validation.",
    "random": "Split at random by session, {validation:.0%} validation and {test:.0%} test, with a fixed seed.",
    "leave_last_out": "Leave-last-out: every session's last item is a test target, the one before a validation target, "
    "all before train.",
}
LIMITS = {
    "random": "A split by chance mixes times: what holds in it may not hold for later sessions.",
    "leave_last_out": "Leave-last-out mixes times: a session's future may have been trained on in another's past.",
}


def split_sessions(raw: Raw, config: DatasetConfig) -> Raw:
    """`raw` with the columns split and targets (how many of a session's last items are targets), and its card's words.

    UserError where the data lack what the split needs.
    """
    kind = config.split or _first_possible(raw.sessions)
    needs = {"given": "split", "temporal": "time"}.get(kind)
    if needs and needs not in raw.sessions:
        raise UserError(
            f"split: {kind} needs sessions with a {needs}, which {raw.sessions_name} lacks: choose random or leave_last_out"
        )
    shares = {"validation": config.validation_share, "test": config.test_share}
    if sum(shares.values()) >= 1:
        raise UserError("validation_share and test_share leave nothing for training")
    sessions = _ASSIGN[kind](raw, shares)
    _check(sessions, raw.sessions_name)
    note = NOTES[kind].format(**shares)
    limits = [LIMITS[kind]] if kind in LIMITS else []
    return replace(raw, sessions=sessions, notes=[*raw.notes, note], limits=[*raw.limits, *limits])


def _first_possible(sessions: pd.DataFrame) -> str:
    return "given" if "split" in sessions else "temporal" if "time" in sessions else "random"


def _given(raw: Raw, shares: dict[str, float]) -> pd.DataFrame:
    return raw.sessions.assign(targets=ALL)


def _random(raw: Raw, shares: dict[str, float]) -> pd.DataFrame:
    """The same whatever the order of the rows."""
    by_id = np.argsort(raw.sessions["session_id"].to_numpy(dtype=object), kind="stable")
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(by_id)
    names = np.full(len(by_id), "train", dtype=object)
    start = 0
    for split, share in shares.items():
        size = max(1, round(share * len(by_id)))
        names[shuffled[start : start + size]] = split
        start += size
    return raw.sessions.assign(split=names, targets=ALL)


def _temporal(raw: Raw, shares: dict[str, float]) -> pd.DataFrame:
    """Sessions of one time are never parted."""
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
    return raw.sessions.assign(split=names, targets=ALL)


def _leave_last_out(raw: Raw, shares: dict[str, float]) -> pd.DataFrame:
    """Three sessions for each of at least three items: all but the last two, all but the last, all."""
    sessions = raw.sessions.drop(columns=["split"], errors="ignore")
    items = [list(dict.fromkeys(row)) if raw.distinct else list(row) for row in sessions["items"]]
    sessions = sessions.assign(items=items)[[len(row) > 2 for row in items]]
    parts = [
        sessions.assign(items=[row[:end] for row in sessions["items"]], split=split, targets=targets)
        for split, end, targets in (("train", -2, ALL), ("validation", -1, 1), ("test", None, 1))
    ]
    return pd.concat(parts, ignore_index=True)


_ASSIGN = {"given": _given, "temporal": _temporal, "random": _random, "leave_last_out": _leave_last_out}


def _check(sessions: pd.DataFrame, name: str) -> None:
    wrong = sessions[~sessions["split"].isin(SPLITS)]
    if len(wrong):
        session, value = wrong["session_id"].iloc[0], wrong["split"].iloc[0]
        raise UserError(
            f"{name}: {len(wrong)} sessions have no valid split; {session!r} has {value!r}"
            f"{nearest(value, SPLITS)}; valid: {', '.join(SPLITS)}"
        )
