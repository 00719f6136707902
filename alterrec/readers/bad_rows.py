"""Malformed rows of one input file: stop at the first one, or drop and count them."""

from __future__ import annotations

from collections import Counter

from alterrec.errors import UserError


class BadRows:
    """The malformed rows of one file. With `on_error: strict` the first one raises; with `drop` they are counted."""

    def __init__(self, file: str, on_error: str):
        self.file, self.on_error, self.reasons = file, on_error, Counter()

    def add(self, reason: str, message: str = "", line: int | None = None, rows: int = 1) -> None:
        """Count `rows` malformed rows under `reason`. With `on_error: strict`, raise a UserError instead.

        `reason` is one of a few short texts, because the dataset's card lists a count for each. `message` describes
        this row and replaces the reason in the error.
        """
        if self.on_error == "strict":
            where = self.file if line is None else f"{self.file}, line {line}"
            raise UserError(
                f"{where}: {message or reason}: correct the file, or drop such rows with `on_error: drop`"
            )
        self.reasons[reason] += rows

    @property
    def counts(self) -> dict[str, int]:
        """The number of dropped rows per reason, as `Raw.counts` lists them."""
        return {f"rows of {self.file} dropped, {reason}": rows for reason, rows in self.reasons.items()}
