"""Errors that a user can act on: they say what was wrong, where, and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A mistake in the input or the set-up. The command line shows its text without a traceback."""


class UnfitSettings(UserError):
    """A model cannot train on a dataset with these settings. A trial of tuning that has them gets the score 0."""


class Stopped(Exception):
    """A run stopped because its time is over. It is not a failure: the run continues from its checkpoint."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the known name closest to `name`, or "" if none is close."""
    close = get_close_matches(str(name), [str(candidate) for candidate in known], n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
