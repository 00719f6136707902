"""CSV, TSV and parquet files as data frames, with errors that name file, line and column."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from alterrec.errors import UserError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from alterrec.readers.bad_rows import BadRows

DELIMITERS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
SUFFIXES = (".parquet", *DELIMITERS)


def read_table(path: Path, key: str, bad: BadRows) -> pd.DataFrame:
    """The table in `path`, which the config's `key` names; every value of a CSV or TSV file is a str.

    UserError for a file that is missing, broken or not UTF-8; rows of too few or too many values go to `bad`.
    """
    import pandas as pd
    import pyarrow as pa

    if not path.is_file():
        raise UserError(f"{key}: there is no file {path} (paths are relative to {Path.cwd()})")
    if not path.name.endswith(SUFFIXES):
        raise UserError(f"{key}: {path} is none of {', '.join(SUFFIXES)}")
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else _read_text(path, bad)
    except (OSError, EOFError, ValueError, pa.ArrowException) as error:
        line = _first_line_not_utf8(path)
        if line:
            raise UserError(f"{key}: {path}, line {line}: not UTF-8: save the file in UTF-8") from None
        raise UserError(f"{key}: {path} cannot be read: {error}") from error


def require_column(column: str, frame: pd.DataFrame, path: str | Path, remedy: str) -> None:
    """UserError that names the nearest column where `frame` lacks `column`."""
    if column not in frame:
        present, hint = ", ".join(map(str, frame.columns)), nearest(column, frame.columns)
        raise UserError(f"{path} has no column {column!r}{hint}; its columns: {present}: {remedy}")


def line_of(path: Path, row: int) -> int | None:
    """The line on which data row `row` (from 0) of a CSV or TSV file begins; None for parquet."""
    if path.suffix == ".parquet":
        return None
    with _open(path) as file:
        reader = csv.reader(file, delimiter=_delimiter(path))
        for record, _ in enumerate(reader):
            if record == row:
                return reader.line_num + 1
    return None


def _read_text(path: Path, bad: BadRows) -> pd.DataFrame:
    from pyarrow import csv as arrow_csv
    from pyarrow import string

    malformed = []  # Arrow ignores what a handler raises

    def skip(row) -> str:
        malformed.append(row)
        return "skip"

    with _open(path) as file:
        header = next(csv.reader(file, delimiter=_delimiter(path)), None)
    if not header:
        raise ValueError("it is empty")
    table = arrow_csv.read_csv(
        path,
        read_options=arrow_csv.ReadOptions(use_threads=False),
        parse_options=arrow_csv.ParseOptions(
            delimiter=_delimiter(path), newlines_in_values=True, invalid_row_handler=skip
        ),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, string())),
    )
    for row in malformed:
        message = f"{row.actual_columns} values, the header has {row.expected_columns}: {row.text[:80]}"
        bad.add("row of too few or too many values", message, row.number)
    return table.to_pandas()


def _delimiter(path: Path) -> str:
    return next(mark for suffix, mark in DELIMITERS.items() if path.name.endswith(suffix))


def _open(path: Path):
    opener = gzip.open if path.suffix == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", newline="")


def _first_line_not_utf8(path: Path) -> int | None:
    if path.suffix == ".parquet":
        return None
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    return number
    except (OSError, EOFError):
        pass
    return None
