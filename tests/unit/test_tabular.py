"""The reader of CSV, TSV and parquet: streamed blocks and whole frames agree, and errors name file and line."""

import gzip
from collections import Counter

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alterrec.errors import UserError
from alterrec.readers.bad_rows import BadRows
from alterrec.readers.tabular import TableFile, column_names, read_blocks, read_frame, require_columns

FRAME = pd.DataFrame({"id": ["a", "b", "c", "d"], "text": ["A", "two\nlines", 'a "quote", a comma', ""]})


def written(path, frame=FRAME):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in path.name else ",")
    return TableFile.at(path)


def file_of(path, content: bytes) -> TableFile:
    path.write_bytes(content)
    return TableFile.at(path)


def bad_rows(file, on_error="strict"):
    return BadRows(file.name, on_error)


def streamed(file, on_error="strict"):
    bad = bad_rows(file, on_error)
    columns = {}
    for block in read_blocks(file, column_names(file), bad):
        for name, values in {"row": block.numbers, **block.columns}.items():
            columns.setdefault(name, []).extend(values.tolist())
    return columns, bad.reasons


def whole(file, on_error="strict"):
    bad = bad_rows(file, on_error)
    frame = read_frame(file, bad)
    return {"row": frame.index.tolist(), **frame.to_dict("list")}, bad.reasons


READERS = pytest.mark.parametrize("read", [streamed, whole])


def error_of(call, *arguments) -> str:
    with pytest.raises(UserError) as error:
        call(*arguments)
    return str(error.value)


@READERS
@pytest.mark.parametrize("suffix", ["csv", "tsv", "csv.gz", "tsv.gz", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path, suffix, read):
    expected = {"row": [1, 2, 3, 4], **FRAME.to_dict("list")}
    assert read(written(tmp_path / f"t.{suffix}")) == (expected, Counter())


@READERS
def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path, read):
    file = file_of(tmp_path / "t.csv", b"\xef\xbb\xbfid,text\na,A\n")
    assert read(file)[0] == {"row": [1], "id": ["a"], "text": ["A"]}


MALFORMED = {
    b"x\n": ("1 values, the header has 2: x", "too few or too many values"),
    b"x,y,z\n": ("3 values, the header has 2: x,y,z", "too few or too many values"),
    b"x,\xff\n": ("not UTF-8", "not UTF-8"),
}


@READERS
@pytest.mark.parametrize("row", MALFORMED)
def test_a_malformed_row_is_an_error_with_its_line_or_is_dropped_and_counted(tmp_path, row, read):
    """A value with a line break and an empty line come before the malformed row, which is row 2 on line 5."""
    message, reason = MALFORMED[row]
    file = file_of(tmp_path / "t.csv", b'id,text\na,"two\nlines"\n\n' + row + b"c,C\n")
    assert error_of(read, file).startswith(f"t.csv, line 5: {message}: correct the file")
    rows, reasons = read(file, "drop")
    assert rows == {"row": [1, 3], "id": ["a", "c"], "text": ["two\nlines", "C"]}
    assert reasons == {reason: 1}


@READERS
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "t.csv cannot be read: it is empty"),
        ("t.csv", b"id,text\n", "t.csv has no rows below its header"),
        ("t.csv", "id,größe\na,A\n".encode("latin-1"), "t.csv, line 1: not UTF-8: save the file in UTF-8"),
        ("t.csv.gz", gzip.compress(b"id,text\n" + b"a,A\n" * 99)[:-9], "t.csv.gz cannot be read"),
        ("t.csv.gz", b"id,text\n", "t.csv.gz cannot be read"),
        ("t.parquet", b"id,text\n", "t.parquet cannot be read"),
    ],
)
def test_a_broken_file_is_an_error_that_names_it(tmp_path, read, name, content, message):
    assert error_of(read, file_of(tmp_path / name, content)).startswith(message)


@READERS
def test_a_parquet_file_without_rows_is_an_error(tmp_path, read):
    assert "t.parquet has no rows" in error_of(read, written(tmp_path / "t.parquet", FRAME[:0]))


def test_a_frame_from_parquet_keeps_its_types(tmp_path):
    frame = pd.DataFrame({"id": [1, 2], "items": [["a"], ["b", "c"]], "time": [0.5, 1.5]})
    found = read_frame(written(tmp_path / "t.parquet", frame), BadRows("t.parquet", "strict"))
    assert (found["id"].dtype, found["time"].dtype) == ("int64", "float64")
    assert list(map(list, found["items"])) == [["a"], ["b", "c"]]


def test_another_ending_is_an_error(tmp_path):
    message = error_of(TableFile.at, tmp_path / "t.xlsx")
    assert message.endswith(
        "t.xlsx is none of .parquet, .csv, .csv.gz, .tsv, .tsv.gz: convert it to one of these formats"
    )


def test_a_missing_column_is_an_error_with_the_nearest_name(tmp_path):
    file = written(tmp_path / "t.csv")
    require_columns(file, column_names(file), ["text", "id"], "add it")
    message = error_of(require_columns, file, column_names(file), ["id", "txt"], "add it")
    assert message == "t.csv has no column 'txt' (did you mean 'text'?); its columns: id, text: add it"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["t.csv", "t.tsv", "t.csv.gz", "t.parquet"]),
    st.binary(max_size=60) | st.text('ab,"\t\r\n', max_size=60).map(str.encode),
)
def test_any_bytes_are_rows_or_an_error_that_names_the_file(tmp_path, name, content):
    for data in (content, gzip.compress(content)):
        for on_error in ("strict", "drop"):
            try:
                rows, _ = streamed(file_of(tmp_path / name, data), on_error)
            except UserError as error:
                assert str(error).startswith(name)
            else:
                assert (
                    rows["row"] == sorted(rows["row"]) and len({len(column) for column in rows.values()}) == 1
                )
