"""DOC."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from alterrec.errors import UserError

if TYPE_CHECKING:
    pass


class BadRows:
    """Malformed rows of one file: the first ends the reading, or, under `on_error: drop`, each is counted."""

    def __init__(self, file: str, on_error: str):
        self.file, self.on_error, self.reasons = file, on_error, Counter()

    def add(self, reason: str, message: str = "", line: int | None = None, rows: int = 1) -> None:
        """`reason` is one of few, for the card; `message` says more of this row. UserError unless rows are dropped."""
        if self.on_error == "strict":
            where = self.file if line is None else f"{self.file}, line {line}"
            raise UserError(
                f"{where}: {message or reason}: mend the file, or drop such rows with `on_error: drop`"
            )
        self.reasons[reason] += rows

    @property
    def counts(self) -> dict[str, int]:
        """What was dropped, for `Raw.counts`."""
        return {f"rows of {self.file} dropped, {reason}": rows for reason, rows in self.reasons.items()}
