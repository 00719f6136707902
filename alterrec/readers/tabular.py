"""CSV, TSV and parquet files, read block by block as strings or whole as a data frame.

Rows are numbered from 1, not counting the header. In CSV a row may span several lines, because a quoted value may
contain line breaks. The line of a row is therefore looked up only when an error message needs it. Importing this
module imports neither pandas nor pyarrow.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from alterrec.errors import UserError, nearest
from alterrec.readers import id_lists
from alterrec.readers.bad_rows import BadRows

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

DELIMITERS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
SUFFIXES = (".parquet", *DELIMITERS)
BLOCK_BYTES = 4 << 20  # bytes of a CSV or TSV file per block; a single row must fit into one block
BLOCK_ROWS = 1 << 16  # rows of a parquet file per block
UNDECODABLE = "\ufffd"  # replaces bytes that are not UTF-8


@dataclass(frozen=True)
class TableFile:
    """A table: its name in messages, and how to open and split it. `quoted` is False if quotation marks are data."""

    name: str
    open: Callable[[], AbstractContextManager[BinaryIO]]
    delimiter: str = ","
    quoted: bool = True

    @property
    def parquet(self) -> bool:
        return self.name.endswith(".parquet")

    @classmethod
    def at(cls, path: Path, name: str = "") -> TableFile:
        """The file at `path`. UserError if its ending is none of `SUFFIXES`."""
        if not path.name.endswith(SUFFIXES):
            raise UserError(f"{path} is none of {', '.join(SUFFIXES)}: convert it to one of these formats")
        delimiter = next((mark for suffix, mark in DELIMITERS.items() if path.name.endswith(suffix)), ",")
        opener = gzip.open if path.suffix == ".gz" else open
        return cls(name or path.name, partial(opener, path, "rb"), delimiter)


@contextmanager
def _reading(file: TableFile) -> Iterator[None]:
    """Turn what gzip, csv and pyarrow raise for a broken file into a UserError that names the file."""
    import pyarrow as pa

    try:
        yield
    except (OSError, EOFError, ValueError, zlib.error, csv.Error, pa.ArrowException) as error:
        raise UserError(f"{file.name} cannot be read: {error}: replace it with an intact copy") from error


def column_names(file: TableFile) -> list[str]:
    """The names in the header. UserError if the file is broken or empty, or if its header is not UTF-8."""
    import pyarrow.parquet as pq

    with _reading(file), file.open() as binary:
        if file.parquet:
            return pq.read_schema(binary).names
        header = next(filter(None, _csv_rows(file, binary)), None)
    if header is None:
        raise UserError(f"{file.name} cannot be read: it is empty: replace it with a complete copy")
    if any(UNDECODABLE in name for name in header):
        raise UserError(f"{file.name}, line 1: not UTF-8: save the file in UTF-8")
    return header


def require_columns(file: TableFile, present: Iterable[str], wanted: Iterable[str], remedy: str) -> None:
    """UserError for the first of the `wanted` columns that is not `present`; it names the nearest column."""
    present = list(map(str, present))
    for column in wanted:
        if column not in present:
            hint, names = nearest(column, present), ", ".join(present)
            raise UserError(f"{file.name} has no column {column!r}{hint}; its columns: {names}: {remedy}")


def report_rows(
    file: TableFile, bad: BadRows, row: int, reason: str, message: str = "", count: int = 1
) -> None:
    """Pass `count` malformed rows to `bad`. The error names the line of the first one, which has the number `row`."""
    message, line = message or reason, None
    if bad.on_error == "strict":
        line = _line_of(file, row)
        message = message if line else f"row {row}: {message}"
    bad.add(reason, message, line, count)


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of a file: their numbers [n] int64 and columns {name: strings [n]}; a missing value is ""."""

    file: TableFile
    bad: BadRows
    numbers: np.ndarray
    columns: dict[str, pa.Array]

    def __len__(self) -> int:
        return len(self.numbers)

    def filter(self, mask: np.ndarray) -> Block:
        """The rows where `mask` [n] is True."""
        import pyarrow as pa

        arrow_mask = pa.array(mask)
        columns = {name: column.filter(arrow_mask) for name, column in self.columns.items()}
        return replace(self, numbers=self.numbers[mask], columns=columns)

    def reject(self, mask: np.ndarray, reason: str, message: str = "") -> Block:
        """Report the rows where `mask` [n] is True as malformed and return the others."""
        if not mask.any():
            return self
        row = int(self.numbers[mask.argmax()])
        report_rows(self.file, self.bad, row, reason, message, int(mask.sum()))
        return self.filter(~mask)


def read_blocks(file: TableFile, columns: list[str], bad: BadRows) -> Iterator[Block]:
    """All rows of a file, block by block. Only one block is held in memory.

    Rows with too few or too many values and rows that are not UTF-8 go to `bad`. UserError if the file is broken or
    has no rows.
    """
    block = None
    with _reading(file):
        for block in (_parquet_blocks if file.parquet else _csv_blocks)(file, columns, bad):
            yield block
    if block is None:
        raise _no_rows(file)


def read_frame(file: TableFile, bad: BadRows) -> pd.DataFrame:
    """The whole table, indexed by row number. Every value of a CSV or TSV file is a str; parquet keeps its types.

    Malformed rows and errors are those of `read_blocks`.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    if not file.parquet:
        blocks = list(read_blocks(file, list(dict.fromkeys(column_names(file))), bad))
        frame = pa.concat_tables([pa.table(block.columns) for block in blocks]).to_pandas()
        return frame.set_axis(np.concatenate([block.numbers for block in blocks]))
    with _reading(file), file.open() as binary:
        frame = pd.read_parquet(binary)
    if not len(frame):
        raise _no_rows(file)
    return frame.set_axis(np.arange(1, len(frame) + 1))


def _no_rows(file: TableFile) -> UserError:
    return UserError(f"{file.name} has no rows below its header: replace it with a complete copy")


def _csv_blocks(file: TableFile, columns: list[str], bad: BadRows) -> Iterator[Block]:
    import numpy as np
    from pyarrow import csv as pacsv

    skipped: list[int] = []  # ascending, because one thread reads the rows in order
    first = None
    following = 1

    def skip(row) -> str:  # Arrow ignores what this function raises, so the rows are reported at the end
        nonlocal first
        first = first or row
        skipped.append(row.number - 1)  # Arrow counts the header
        return "skip"

    with file.open() as binary:
        for batch in pacsv.open_csv(binary, **_csv_options(file, columns, skip)):
            numbers = np.arange(following, following + len(batch) + len(skipped))
            numbers = numbers[~np.isin(numbers, skipped)][: len(batch)]
            following = int(numbers[-1]) + 1 if len(batch) else following
            yield _as_strings(file, bad, numbers, batch)
    if first is not None:
        message = f"{first.actual_columns} values, the header has {first.expected_columns}: {first.text[:80]}"
        report_rows(file, bad, skipped[0], "too few or too many values", message, len(skipped))


def _csv_options(file: TableFile, columns: list[str], skip: Callable) -> dict:
    import pyarrow as pa
    from pyarrow import csv as pacsv

    return {
        "read_options": pacsv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
        "parse_options": pacsv.ParseOptions(
            delimiter=file.delimiter,
            quote_char='"' if file.quoted else False,
            newlines_in_values=file.quoted,
            invalid_row_handler=skip,
        ),
        "convert_options": pacsv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.binary())
        ),
    }


def _parquet_blocks(file: TableFile, columns: list[str], bad: BadRows) -> Iterator[Block]:
    import numpy as np
    import pyarrow.parquet as pq

    following = 1
    with file.open() as binary:
        for batch in pq.ParquetFile(binary).iter_batches(BLOCK_ROWS, columns=columns):
            numbers = np.arange(following, following + len(batch))
            yield _as_strings(file, bad, numbers, batch.select(columns))
            following += len(batch)


def _as_strings(file: TableFile, bad: BadRows, numbers: np.ndarray, batch: pa.RecordBatch) -> Block:
    """The batch as strings. A list becomes the string that NumPy prints for it. Rows that are not UTF-8 go to `bad`."""
    import numpy as np
    import pyarrow as pa

    valid = np.ones(len(batch), dtype=bool)
    columns = {}
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
            array = id_lists.printed(array)
        try:
            columns[name] = array.cast(pa.string()).fill_null("")
        except pa.ArrowInvalid:
            values = array.fill_null(b"").to_pylist()
            texts = [value.decode(errors="replace") for value in values]
            valid &= [text.encode() == value for text, value in zip(texts, values, strict=True)]
            columns[name] = pa.array(texts, pa.string())
    return Block(file, bad, numbers, columns).reject(~valid, "not UTF-8")


def _line_of(file: TableFile, row: int) -> int | None:
    """The line on which a row of a CSV or TSV file starts. None for parquet or if Python's csv cannot read the file."""
    if file.parquet:
        return None
    try:
        with file.open() as binary:
            rows = _csv_rows(file, binary)
            line, number = 1, -1
            for values in rows:
                number += bool(values)  # Arrow does not count empty lines
                if number == row:
                    return line
                line = rows.line_num + 1
    except csv.Error:
        pass
    return None


def _csv_rows(file: TableFile, binary: BinaryIO):
    text = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace", newline="")
    quoting = csv.QUOTE_MINIMAL if file.quoted else csv.QUOTE_NONE
    return csv.reader(text, delimiter=file.delimiter, quoting=quoting)
