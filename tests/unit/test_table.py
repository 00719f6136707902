"""The source `table`: a user's own files in every layout and format, and errors for malformed ones."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alterrec import registry
from alterrec.data.dataset import Dataset
from alterrec.data.prepare import prepare
from alterrec.encoders.precomputed import item_vectors
from alterrec.errors import UserError

TABLE = registry.source("table")
ITEMS = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["A", "B, with a\nline break", 'C "quoted"']})
WIDE = pd.DataFrame(
    {
        "session_id": ["1", "2", "3", "4"],
        "items": [["a", "b"], ["b", "c", "b"], ["c", "a"], ["a", "c"]],
        "split": ["train", "train", "validation", "test"],
    }
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(ITEMS, "items.csv")
    write(WIDE, "sessions.csv")
    return tmp_path


def write(frame: pd.DataFrame, path: str) -> None:
    if path.endswith(".parquet"):
        frame.to_parquet(path)
        return
    if "items" in frame:
        frame = frame.assign(items=frame["items"].map(json.dumps))
    frame.to_csv(path, index=False, sep="\t" if ".tsv" in path else ",")


def longer(wide: pd.DataFrame) -> pd.DataFrame:
    return wide.explode("items").rename(columns={"items": "item_id"})


def prepared(**settings) -> Dataset:
    config = TABLE.Config(**{"source": "table", "sessions": "sessions.csv", "items": "items.csv"} | settings)
    prepare(TABLE.load(config), config, "out")
    return Dataset.load("out")


def sessions_of(data: Dataset) -> dict[str, list[str]]:
    return {data.session_id[s]: list(data.item_id[data.items_of(s)]) for s in range(len(data.session_id))}


EXPECTED = dict(zip(WIDE["session_id"], WIDE["items"], strict=True))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "csv.gz", "tsv.gz", "parquet"])
@pytest.mark.parametrize("shape", [lambda wide: wide, longer])
def test_wide_and_long_files_of_every_format_give_the_same_dataset(folder, suffix, shape):
    write(shape(WIDE), f"s.{suffix}")
    write(ITEMS, f"i.{suffix}")
    data = prepared(sessions=f"s.{suffix}", items=f"i.{suffix}")
    assert sessions_of(data) == EXPECTED
    assert data.text.tolist() == ["A", "B, with a line break", 'C "quoted"']


@pytest.mark.parametrize(
    "stamps",
    [
        [3, 1, 2, 20, 20, 10, 1, 2, 1, 2],
        [f"2024-01-{day:02} 10:00" for day in (3, 1, 2, 20, 20, 10, 1, 2, 1, 2)],
    ],
)
def test_items_of_a_long_file_are_ordered_by_timestamp_then_by_row(folder, stamps):
    ids, items = list("1112223344"), list("abcabcabab")
    rows = pd.DataFrame({"session_id": ids, "item_id": items, "timestamp": stamps})
    rows["split"] = rows["session_id"].map({"1": "train", "2": "train", "3": "validation", "4": "test"})
    write(rows, "sessions.csv")
    expected = {"1": list("bca"), "2": list("cab"), "3": list("ab"), "4": list("ab")}
    assert sessions_of(prepared()) == expected


def test_timestamps_split_by_time_and_equal_times_share_a_split(folder):
    times = [5, 9, 1, 2, 3, 9, 4, 7, 8, 6]
    frame = pd.DataFrame({"session_id": list("0123456789"), "items": [["a", "b"]] * 10, "timestamp": times})
    write(frame, "sessions.csv")
    data = prepared(test_share=0.1, validation_share=0.2)
    split = dict(zip(data.session_id, data.split, strict=True))
    assert {name for name in split if split[name] == "test"} == {"1", "5"}
    assert {name for name in split if split[name] == "validation"} == {"8"}
    assert any("by time" in note for note in data.card["notes"])


def test_a_split_without_the_column_it_needs_is_an_error(folder):
    with pytest.raises(UserError, match="split: temporal needs sessions with a time"):
        prepared(split="temporal")
    write(WIDE.drop(columns="split"), "sessions.csv")
    with pytest.raises(UserError, match="split: given needs sessions with a split"):
        prepared(split="given")


def test_leave_last_out_holds_out_the_last_two_items(folder):
    write(WIDE.assign(items=[list("abc"), list("bcabc"), list("ca"), list("abcab")]), "sessions.csv")
    data = prepared(split="leave_last_out")
    found = [
        (name, split, "".join(data.item_id[data.items_of(s)]), int(data.targets[s]))
        for s, (name, split) in enumerate(zip(data.session_id, data.split, strict=True))
    ]
    assert sorted(found) == [
        ("1", "test", "abc", 1),
        ("1", "validation", "ab", 1),
        ("2", "test", "bcabc", 1),
        ("2", "train", "bca", 2),
        ("2", "validation", "bcab", 1),
        ("4", "test", "abcab", 1),
        ("4", "train", "abc", 2),
        ("4", "validation", "abca", 1),
    ]
    assert data.card["statistics"]["splits"]["test"]["instances"] == 3


def test_max_sessions_keeps_a_session_in_all_three_splits_of_leave_last_out(folder):
    frame = pd.DataFrame({"session_id": map(str, range(20)), "items": [list("abcab")] * 20})
    write(frame, "sessions.csv")
    data = prepared(split="leave_last_out", max_sessions=5)
    assert len(data.session_id) == 15
    assert len(set(data.session_id)) == 5


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_vectors_are_read_from_npy_and_parquet(folder, kind):
    vectors = np.arange(6, dtype=np.float64).reshape(3, 2)
    if kind == "npy":
        np.save("v.npy", vectors)
    else:
        pd.DataFrame({"item_id": ["c", "b", "a"], "vector": list(vectors[::-1])}).to_parquet("v.parquet")
    prepared(vectors=f"v.{kind}")
    np.testing.assert_array_equal(item_vectors(Path("out")), vectors.astype(np.float32))
    prepared(vectors=f"v.{kind}", text_control="permuted")
    permuted = item_vectors(Path("out"))
    assert sorted(map(tuple, permuted)) == sorted(map(tuple, vectors))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones((2, 2)), r"shape \(2, 2\) of float64; 3 items need numbers of shape \(3, width\)"),
        (np.array([[1, 2], [np.nan, 1], [1, 1]]), "1 vectors are not finite, the first is row 2, item 'b'"),
        (np.ones(3), r"shape \(3,\)"),
        (np.array([["x"], ["y"], ["z"]]), "of <U1"),
        (np.array([[None], [1], [2]]), "does not hold vectors of one width"),
    ],
)
def test_invalid_vectors_are_an_error(folder, vectors, message):
    np.save("v.npy", vectors)
    with pytest.raises(UserError, match=message):
        prepared(vectors="v.npy")


def test_vectors_of_missing_items_or_of_several_widths_are_an_error(folder):
    pd.DataFrame({"item_id": ["a", "b"], "vector": [[1.0], [2.0]]}).to_parquet("v.parquet")
    with pytest.raises(UserError, match="lacks 1 items, such as 'c'"):
        prepared(vectors="v.parquet")
    frame = pd.DataFrame({"item_id": list("abc"), "vector": [[1.0], [2.0, 3.0], [4.0]]})
    frame.to_parquet("v.parquet")
    with pytest.raises(UserError, match="does not hold vectors of one width"):
        prepared(vectors="v.parquet")


# Malformed rows are an error with file, line and reason, or are dropped and counted


def append(text: str, kind: str = "sessions") -> None:
    with open(f"{kind}.csv", "a") as file:
        file.write(text)


BAD_ROWS = {
    "too many values": ("sessions", "5,a b,train,more\n", "line 6: 4 values, the header has 3"),
    "no session": ("sessions", ",a b,train\n", "line 6: session_id is missing (rows affected: 1)"),
    "no list": ("sessions", "5,[a,train\n", "line 6: session '5': items is not a JSON array"),
    "no item": ("items", ",nameless\n", "line 6: item_id is missing (rows affected: 1)"),
    "twice": ("items", "a,again\n", "1 item_id occur more than once: 'a'"),
    "unknown": ("sessions", "5,a z,train\n", "1 items are not in items.csv: 'z'"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_malformed_row_is_an_error_or_is_dropped_and_counted(folder, case):
    kind, text, message = BAD_ROWS[case]
    append(text, kind)
    with pytest.raises(UserError) as error:
        prepared()
    assert str(error.value).startswith(f"{kind}.csv")
    assert message in str(error.value)
    assert "on_error: drop" in str(error.value)
    data = prepared(on_error="drop")
    assert {name: EXPECTED[name] for name in "1234"} == {n: sessions_of(data)[n] for n in "1234"}
    (count,) = [
        n for what, n in data.card["counts"].items() if what.startswith(f"rows of {kind}.csv dropped")
    ]
    assert count == 1


def test_an_unreadable_timestamp_is_an_error_with_its_line(folder):
    write(WIDE.assign(timestamp=["1", "2", "soon", "4"]), "sessions.csv")
    with pytest.raises(
        UserError, match="sessions.csv, line 4: timestamp 'soon' is neither a number nor ISO 8601"
    ):
        prepared()


def test_a_missing_date_is_an_error_with_its_line(folder):
    dates = pd.to_datetime(["2020-01-01", None, "2020-01-03", "2020-01-04"])
    write(WIDE.assign(timestamp=dates), "sessions.parquet")
    with pytest.raises(UserError, match="timestamp NaT is neither a number nor ISO 8601"):
        prepared(sessions="sessions.parquet")


def test_a_row_that_is_not_utf8_is_an_error_with_its_line(folder):
    (folder / "items.csv").write_bytes(
        "item_id,title\na,größer\n".encode() + "b,größer\nc,x\n".encode("latin-1")
    )
    with pytest.raises(UserError, match="items.csv, line 3: not UTF-8"):
        prepared()


def test_columns_of_the_wrong_type_are_an_error(folder):
    write(ITEMS.assign(item_id=[1.0, 2.0, np.nan]), "items.parquet")
    with pytest.raises(UserError, match="'item_id' holds decimal numbers"):
        prepared(items="items.parquet")
    write(ITEMS.assign(title=[["A"], ["B"], ["C"]]), "items.parquet")
    with pytest.raises(UserError, match="'title' holds lists, not text"):
        prepared(items="items.parquet")


def test_a_session_in_two_splits_is_an_error(folder):
    rows = longer(WIDE).reset_index(drop=True)
    rows.loc[0, "split"] = "test"
    write(rows, "sessions.csv")
    with pytest.raises(UserError, match="session '1' is in more than one split"):
        prepared()


names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=5)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sessions=st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=8), min_size=3, max_size=12),
    items=st.lists(names, min_size=10, max_size=10, unique=True),
    suffix=st.sampled_from(["csv", "tsv", "parquet"]),
    long=st.booleans(),
)
def test_sessions_survive_a_round_trip(folder, sessions, items, suffix, long):
    splits = (["train", "validation", "test"] * len(sessions))[: len(sessions)]
    wide = pd.DataFrame(
        {
            "session_id": [f"s{i}" for i in range(len(sessions))],
            "items": [[items[i] for i in session] for session in sessions],
            "split": splits,
        }
    )
    write(longer(wide) if long else wide, f"s.{suffix}")
    write(pd.DataFrame({"item_id": items, "title": items}), f"i.{suffix}")
    data = prepared(sessions=f"s.{suffix}", items=f"i.{suffix}")
    assert sessions_of(data) == dict(zip(wide["session_id"], wide["items"], strict=True))
    assert data.split.tolist() == splits
