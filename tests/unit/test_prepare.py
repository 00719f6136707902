"""Prepared datasets: what is dropped, what is kept, and that a folder gives back what was written."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alterrec.data.card import card_text
from alterrec.data.dataset import SPLITS, Dataset
from alterrec.data.prepare import prepare
from alterrec.errors import UserError
from alterrec.files import write_text
from alterrec.sources._raw import DatasetConfig, Raw
from tests.planted import dataset as planted

CONTENT = ("session_id", "split", "targets", "flat", "offsets", "item_id", "text", "train_count")


def raw(sessions: list[tuple[str, str]], items: str = "abcdefghij", **facts) -> Raw:
    """Sessions as (split, items of one letter each), ids s0, s1, ...; item x has the text 'text x'."""
    rows = [(f"s{i}", list(letters), split) for i, (split, letters) in enumerate(sessions)]
    return Raw(
        sessions=pd.DataFrame(rows, columns=["session_id", "items", "split"]),
        items=pd.DataFrame({"item_id": list(items), "text": [f"text {item}" for item in items]}),
        **{"source": "test", "url": "", "citation": "", "licence": "none", "checksums": {}} | facts,
    )


HELD_OUT = [("validation", "ab"), ("test", "ba")]


def made(tmp_path, source: Raw, **config) -> Dataset:
    return prepare(source, DatasetConfig(source="test", **config), tmp_path / "data")


def letters(data: Dataset) -> dict[str, str]:
    """session id -> its items."""
    sessions = range(len(data.session_id))
    return {data.session_id[s]: "".join(data.item_id[data.items_of(s)]) for s in sessions}


def same(one: Dataset, other: Dataset) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in CONTENT)


def test_sessions_keep_their_items_and_order(tmp_path):
    data = made(tmp_path, raw([("train", "cab"), *HELD_OUT]))
    assert letters(data) == {"s0": "cab", "s1": "ab", "s2": "ba"}
    assert list(data.item_id) == ["a", "b", "c"]
    assert list(data.train_count) == [1, 1, 1]
    assert (data.flat.dtype, data.offsets.dtype, data.train_count.dtype) == (np.int32, np.int64, np.int32)
    assert [list(data.sessions_of(split)) for split in SPLITS] == [[0], [1], [2]]


def test_short_sessions_are_dropped_and_counted(tmp_path):
    data = made(tmp_path, raw([("train", "a"), ("train", ""), ("train", "ab"), ("test", "c"), *HELD_OUT]))
    assert list(letters(data)) == ["s2", "s4", "s5"]
    assert data.card["counts"]["sessions of fewer than two items, dropped"] == 3
    assert "c" not in data.item_id


@pytest.mark.parametrize(("distinct", "kept"), [(True, "abc"), (False, "abacb")])
def test_repeated_items_leave_only_where_the_source_says_so(tmp_path, distinct, kept):
    data = made(tmp_path, raw([("train", "abacb"), ("train", "aa"), *HELD_OUT], distinct=distinct))
    assert letters(data)["s0"] == kept
    assert ("s1" in letters(data)) is not distinct


def test_leave_last_out_holds_out_known_items(tmp_path):
    source = raw([("", "abxy"), ("", "abcx"), ("", "xcbacy")], items="abc")
    data = made(tmp_path, source, split="leave_last_out", on_error="drop")
    held_out = [
        {data.session_id[s]: data.item_id[data.items_of(s)][-1] for s in data.sessions_of(split)}
        for split in ("validation", "test")
    ]
    assert held_out == [{"s1": "b", "s2": "a"}, {"s1": "c", "s2": "c"}]
    assert data.card["counts"]["rows of sessions dropped, item that is not in items"] == 5


def test_long_sessions_keep_their_last_items(tmp_path):
    data = made(tmp_path, raw([("train", "abcde"), ("train", "abc"), *HELD_OUT]), max_length=3)
    assert letters(data)["s0"] == "cde"
    assert letters(data)["s1"] == "abc"
    assert data.card["counts"]["sessions cut to 3 items"] == 1


def test_the_threshold_filters_training_sessions_only_and_once(tmp_path):
    sessions = [("train", "abc"), ("train", "abd"), ("train", "ce"), ("validation", "ac"), ("test", "dag")]
    data = made(tmp_path, raw(sessions), min_count=2)
    # d and e occur once in training; c stays although the session that made it frequent goes.
    assert letters(data) == {"s0": "abc", "s1": "ab", "s3": "ac", "s4": "dag"}
    assert dict(zip(data.item_id, data.train_count.tolist(), strict=True)) == {
        "a": 2,
        "b": 2,
        "c": 1,
        "d": 0,
        "g": 0,
    }
    assert data.card["counts"]["training events of items below min_count, dropped"] == 2
    assert data.card["counts"]["training sessions left with fewer than two items, dropped"] == 1


def test_cold_items_stay_in_the_catalogue(tmp_path):
    data = made(tmp_path, raw([("train", "ab"), ("validation", "ac"), ("test", "da")]))
    assert list(data.item_id[data.train_count == 0]) == ["c", "d"]
    assert data.card["statistics"]["cold_items"] == 2
    assert data.card["statistics"]["splits"]["validation"]["cold_targets"] == 1
    assert data.card["statistics"]["splits"]["test"]["cold_targets"] == 0


def test_max_sessions_cuts_every_split_alike(tmp_path):
    sessions = [("train", "ab")] * 80 + [("validation", "ab")] * 10 + [("test", "ab")] * 10
    data = made(tmp_path, raw(sessions), max_sessions=50)
    assert [len(data.sessions_of(split)) for split in SPLITS] == [40, 5, 5]
    assert data.card["counts"]["sessions left out by max_sessions"] == 50
    assert same(data, made(tmp_path / "again", raw(sessions), max_sessions=50))
    assert len(set(data.session_id)) == 50
    assert [len(made(tmp_path, raw(sessions), max_sessions=3).sessions_of(split)) for split in SPLITS] == [
        2,
        1,
        1,
    ]


def test_the_permuted_twin_differs_in_who_has_which_text_only(tmp_path):
    source = raw([("train", "abcdefghij"), *HELD_OUT])
    plain, twin = (made(tmp_path / control, source, text_control=control) for control in ("none", "permuted"))
    assert same(plain, replace(twin, text=plain.text))
    assert sorted(plain.text) == sorted(twin.text)
    assert list(plain.text) != list(twin.text)
    assert any("permuted" in note for note in twin.card["notes"])
    assert same(twin, made(tmp_path / "again", source, text_control="permuted"))


def test_statistics_count_instances_and_repeated_targets(tmp_path):
    data = made(tmp_path, raw([("train", "abab"), *HELD_OUT]))
    split = data.card["statistics"]["splits"]["train"]
    assert split == {"sessions": 1, "instances": 3, "cold_targets": 0, "repeated_targets": 2}


def test_the_card_is_readable(tmp_path):
    facts = {
        "source": "A source",
        "licence": "CC0",
        "checksums": {"file.parquet": "ab12"},
        "limits": ["No time."],
    }
    data = made(tmp_path, raw([("train", "abc"), *HELD_OUT], demo=True, order_known=False, **facts))
    text = (tmp_path / "data" / "card.md").read_text("utf-8")
    for part in ("# A source", "CC0", "ab12", "No time.", "no evidence", "drawn at random", "| Instances"):
        assert part in text
    assert Dataset.load(tmp_path / "data").card == data.card
    assert card_text({}).startswith("# Dataset")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (raw([("train", "ab"), ("train", "ab")]), "no validation session of two items or more is left"),
        (raw([("train", "azxyw"), *HELD_OUT]), "sessions: 4 items are not in items: 'z', 'x', 'y', ..."),
        (raw([("train", "ab"), *HELD_OUT], items="aba"), "items: 1 item_id occur more than once: 'a'"),
        (
            raw([("train", "ab"), ("tests", "ab")]),
            "1 sessions have no valid split; 's1' has 'tests' (did you mean 'test'?)",
        ),
    ],
)
def test_contradictions_are_named(tmp_path, source, message):
    with pytest.raises(UserError) as error:
        made(tmp_path, source)
    assert message in str(error.value)
    assert not (tmp_path / "data").exists()


def test_a_preparation_that_is_cut_short_leaves_nothing_of_the_older_dataset_that_passes_for_new(
    tmp_path, monkeypatch
):
    made(tmp_path, raw([("train", "abc"), *HELD_OUT]))
    vectors = tmp_path / "data" / "text" / "tfidf_svd.safetensors"
    write_text(vectors, "vectors of the older items")
    monkeypatch.setattr(Dataset, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, raw([("train", "abcd"), *HELD_OUT]))
    assert not vectors.exists() and not (tmp_path / "data" / "card.json").exists()


def killed(*_) -> None:
    raise KeyboardInterrupt


def test_session_ids_are_unique(tmp_path):
    source = raw([("train", "ab"), *HELD_OUT])
    source.sessions["session_id"] = "same"
    with pytest.raises(UserError, match="sessions: 1 session_id occur more than once: 'same'"):
        made(tmp_path, source)


@settings(max_examples=25, deadline=None)
@given(
    sessions=st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=6), min_size=1, max_size=8),
    texts=st.lists(st.text(max_size=8), min_size=5, max_size=5),
    data=st.data(),
)
def test_a_dataset_survives_its_folder(tmp_path_factory, sessions, texts, data):
    splits = data.draw(st.lists(st.sampled_from(SPLITS), min_size=len(sessions), max_size=len(sessions)))
    made = planted(sessions, splits, ["x"] * len(texts))
    made = replace(made, text=np.array(texts, dtype=object), card={"source": "test"})
    folder = tmp_path_factory.mktemp("data")
    made.save(folder)
    loaded = Dataset.load(folder)
    assert same(made, loaded)
    assert loaded.card == made.card
    assert [list(loaded.items_of(s)) for s in range(len(sessions))] == sessions


def saved(folder, **changes) -> None:
    replace(planted([[0, 1], [1, 0], [0, 1]], list(SPLITS), ["x", "y"]), **changes).save(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flat": np.array([0, 1, 7, 0, 0, 1], np.int32)}, "names item 7, the catalogue has 2"),
        ({"flat": np.array([0, -1, 1, 0, 0, 1], np.int32)}, "names item -1"),
        ({"split": np.array(["train", "dev", "test"])}, "has the split 'dev'"),
        ({"train_count": np.array([5, 1], np.int32)}, "train_count"),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused(tmp_path, changes, message):
    saved(tmp_path, **changes)
    with pytest.raises(UserError, match=message):
        Dataset.load(tmp_path)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(UserError, match="sessions.parquet is missing: prepare the dataset"):
        Dataset.load(tmp_path)
    saved(tmp_path)
    (tmp_path / "items.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match="items.parquet is not a prepared dataset's file"):
        Dataset.load(tmp_path)
    pq.write_table(pa.table({"item_id": ["a"]}), tmp_path / "items.parquet")
    with pytest.raises(UserError, match="items.parquet is not a prepared dataset's file"):
        Dataset.load(tmp_path)
