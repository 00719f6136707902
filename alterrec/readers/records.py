"""The records of a big CSV, TSV or parquet file, read in blocks of Arrow strings. Importing this imports no pyarrow.

A record is one row; in CSV it may have line breaks within quotes, so records are numbered, from 1 after the header,
and the line of one is looked up only where a message needs it.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from alterrec.errors import UserError, nearest
from alterrec.readers import id_lists
from alterrec.readers.bad_rows import BadRows

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

BLOCK = 4 << 20  # bytes of a file that are read at once; a record must fit
ROWS = 1 << 16  # the same for parquet
BROKEN = (OSError, EOFError, ValueError, zlib.error)  # what gzip and pyarrow raise for a broken file


@dataclass(frozen=True)
class File:
    """A file and how to open it; `quote` is False where quotation marks mean nothing."""

    name: str
    open: Callable[[], AbstractContextManager[BinaryIO]]
    delimiter: str = ","
    quote: str | bool = '"'

    @property
    def parquet(self) -> bool:
        return self.name.endswith(".parquet")

    @classmethod
    def at(cls, path: Path) -> File:
        """The file at `path`: .csv, .csv.gz or .parquet."""
        return cls(path.name, partial(gzip.open if path.suffix == ".gz" else open, path, "rb"))


def header(file: File) -> list[str]:
    """The names of a file's columns. UserError where it cannot be read."""
    import pyarrow.parquet as pq

    try:
        with file.open() as binary:
            if file.parquet:
                return pq.read_schema(binary).names
            return next(_rows(file, binary), [])
    except (*BROKEN, csv.Error) as error:
        raise UserError(f"{file.name} cannot be read: {error}") from error


def require(file: File, columns: list[str]) -> None:
    """UserError, which prints the header, unless the file has the columns."""
    names = header(file)
    for column in columns:
        if column not in names:
            raise UserError(
                f"{file.name} has no column {column!r}{nearest(column, names)}; its header: {', '.join(names)}"
            )


@dataclass(frozen=True, eq=False)
class Block:
    """Some records of a file: their numbers [n] int64 and columns {name: strings [n]}, "" for a missing value."""

    file: File
    bad: BadRows
    numbers: np.ndarray
    columns: dict[str, pa.Array]

    def __len__(self) -> int:
        return len(self.numbers)

    def only(self, rows: np.ndarray) -> Block:
        """The rows where `rows` [n] is True."""
        import pyarrow as pa

        mask = pa.array(rows)
        columns = {name: column.filter(mask) for name, column in self.columns.items()}
        return replace(self, numbers=self.numbers[rows], columns=columns)

    def without(self, wrong: np.ndarray, reason: str, message: str = "") -> Block:
        """The rows but those where `wrong` [n] is True: they go to `bad`, the first with its line or number."""
        if not wrong.any():
            return self
        line = None
        if self.bad.on_error == "strict":
            record = int(self.numbers[wrong.argmax()])
            line = _line(self.file, record)
            message = message or reason if line else f"record {record}: {message or reason}"
        self.bad.add(reason, message, line, rows=int(wrong.sum()))
        return self.only(~wrong)


def records(file: File, columns: list[str], bad: BadRows) -> Iterator[Block]:
    """All records of a file, block by block; only one block is held in memory.

    Records with more or fewer fields than the header or that are not UTF-8 go to `bad`. UserError for a broken file
    and for one without a record.
    """
    block = None
    try:
        for block in (_parquet_blocks if file.parquet else _csv_blocks)(file, columns, bad):
            yield block
    except BROKEN as error:
        raise UserError(f"{file.name} cannot be read: {error}") from error
    if block is None:
        raise UserError(f"{file.name} has no records")


def _csv_blocks(file: File, columns: list[str], bad: BadRows) -> Iterator[Block]:
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv as pacsv

    skipped: list[int] = []  # sorted: on one thread rows come in order
    following = 1

    def skip(row) -> str:
        skipped.append(row.number - 1)  # pyarrow counts the header
        return "skip"

    with file.open() as binary:
        reader = pacsv.open_csv(
            binary,
            read_options=pacsv.ReadOptions(block_size=BLOCK, use_threads=False),
            parse_options=pacsv.ParseOptions(
                delimiter=file.delimiter,
                quote_char=file.quote,
                newlines_in_values=bool(file.quote),
                invalid_row_handler=skip,
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=columns, column_types={name: pa.binary() for name in columns}
            ),
        )
        for batch in reader:
            numbers = np.arange(following, following + len(batch) + len(skipped))
            numbers = numbers[~np.isin(numbers, skipped)][: len(batch)]
            following = int(numbers[-1]) + 1 if len(batch) else following
            yield _block(file, bad, numbers, batch)
    ragged = Block(file, bad, np.array(skipped, dtype=np.int64), {})
    ragged.without(ragged.numbers > 0, "other number of fields than the header")


def _parquet_blocks(file: File, columns: list[str], bad: BadRows) -> Iterator[Block]:
    import numpy as np
    import pyarrow.parquet as pq

    following = 1
    with file.open() as binary:
        for batch in pq.ParquetFile(binary).iter_batches(ROWS, columns=columns):
            numbers = np.arange(following, following + len(batch))
            yield _block(file, bad, numbers, batch.select(columns))
            following += len(batch)


def _block(file: File, bad: BadRows, numbers: np.ndarray, batch: pa.RecordBatch) -> Block:
    """The batch as strings, lists as NumPy prints them; rows that are not UTF-8 go to `bad`."""
    import numpy as np
    import pyarrow as pa

    legible = np.ones(len(batch), dtype=bool)
    columns = {}
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
            array = id_lists.printed(array)
        try:
            columns[name] = array.cast(pa.string()).fill_null("")
        except pa.ArrowInvalid:
            values = array.fill_null(b"").to_pylist()
            texts = [value.decode(errors="replace") for value in values]
            legible &= [text.encode() == value for text, value in zip(texts, values, strict=True)]
            columns[name] = pa.array(texts, pa.string())
    return Block(file, bad, numbers, columns).without(~legible, "not UTF-8")


def _line(file: File, record: int) -> int | None:
    """The line on which a record of a CSV file starts, None where it cannot be told."""
    if file.parquet:
        return None
    try:
        with file.open() as binary:
            rows = _rows(file, binary)
            started, number = 1, -1
            for row in rows:
                number += bool(row)  # pyarrow counts no empty lines
                if number == record:
                    return started
                started = rows.line_num + 1
    except csv.Error:
        pass
    return None


def _rows(file: File, binary: BinaryIO):
    text = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace", newline="")
    quoting = csv.QUOTE_MINIMAL if file.quote else csv.QUOTE_NONE
    return csv.reader(text, delimiter=file.delimiter, quoting=quoting)
