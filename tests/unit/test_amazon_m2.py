"""Amazon-M2: files in the layout of the challenge become sessions; malformed files are errors."""

import gzip

import numpy as np
import pandas as pd
import pytest

from alterrec import registry
from alterrec.bench.parsing_cost import measure_parsing
from alterrec.data.dataset import SPLITS
from alterrec.data.prepare import prepare
from alterrec.errors import UserError
from alterrec.readers import tabular
from alterrec.study.check import checked

M2 = registry.source("amazon_m2")
HEAD = "prev_items,next_item,locale\n"
SESSIONS = f"""{HEAD}['B000000001' 'B000000002'],B000000003,ES
"['B000000001' 'B000000002' 'B000000003' 'B000000001' 'B000000002'
 'B000000002']",B000000002,FR
['B000000003' 'B000000001'],B000000002,ES
['B000000003' 'B000000003'],B000000003,FR
['B000000009' 'B000000008'],B000000009,IT
"""
PRODUCTS = """id,locale,title,price,brand,color,size,model,material,author,desc
B000000001,ES,"Taza  azul,
grande",9.5,Casa,azul,,,,,"una ""taza"" fina"
B000000002,ES,Plato,4.0,,,,,,,
B000000003,ES,,1.0,,,,,,,
B000000001,FR,Tasse bleue,9.5,Maison,,,,,,
B000000002,FR,Assiette,4.0,,,,,,,
B000000003,FR,Cuillère,1.0,,,,,,,
B000000008,IT,Tazza,1.0,,,,,,,
B000000009,IT,Piatto,1.0,,,,,,,
"""


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return tmp_path


def write(folder, sessions=SESSIONS, products=PRODUCTS):
    (folder / "sessions_train.csv").write_text(sessions, encoding="utf-8")
    (folder / "products_train.csv").write_text(products, encoding="utf-8")


def config(folder, **settings):
    defaults = {"source": "amazon_m2", "folder": folder and str(folder), "locales": ["ES", "FR"]}
    return M2.Config(**defaults | settings)


def loaded(folder, **settings):
    return M2.load(config(folder, **settings))


def lists(raw) -> dict[str, list[str]]:
    return dict(zip(raw.sessions["session_id"], map(list, raw.sessions["items"]), strict=True))


def names(locale: str, digits: str) -> list[str]:
    return [f"{locale}/B00000000{digit}" for digit in digits]


def load_error(folder, **settings) -> str:
    with pytest.raises(UserError) as error:
        loaded(folder, **settings)
    return str(error.value)


# The challenge's files


def test_sessions_are_the_rows_of_the_chosen_locales(folder):
    raw = loaded(folder)
    assert lists(raw) == {
        "ES-1": names("ES", "123"),
        "FR-2": names("FR", "1231222"),
        "ES-3": names("ES", "312"),
        "FR-4": names("FR", "333"),
    }
    assert list(raw.sessions.columns) == ["session_id", "items"]
    assert lists(loaded(folder, locales=["IT"])) == {"IT-5": names("IT", "989")}


def test_one_product_id_in_two_locales_is_two_items_with_two_texts(folder):
    raw = loaded(folder)
    texts = dict(zip(raw.items["item_id"], raw.items["text"], strict=True))
    assert list(texts) == names("ES", "123") + names("FR", "123")
    assert texts["ES/B000000001"] == "Taza azul, grande"
    assert texts["FR/B000000001"] == "Tasse bleue"
    assert texts["FR/B000000003"] == "Cuillère"
    assert raw.counts["products without text"] == 1


def test_text_columns_are_joined_in_the_order_of_the_setting(folder):
    texts = loaded(folder, text_columns=["brand", "title", "desc"]).items["text"]
    assert list(texts[:2]) == ['Casa\nTaza azul, grande\nuna "taza" fina', "Plato"]


def test_consecutive_repeats_can_be_dropped(folder):
    raw = loaded(folder, locales=["FR"], consecutive_repeats="drop")
    assert lists(raw) == {"FR-2": names("FR", "12312"), "FR-4": names("FR", "3")}
    assert any("one is kept" in note for note in raw.notes)


def test_gzipped_files_in_a_mirror_give_the_same_sessions(folder, monkeypatch):
    expected = lists(loaded(folder))
    (folder / "amazon_m2").mkdir()
    for name in ("sessions_train.csv", "products_train.csv"):
        (folder / "amazon_m2" / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    monkeypatch.setenv("ALTERREC_MIRROR", str(folder))
    raw = loaded(None)
    assert lists(raw) == expected
    assert set(raw.checksums) == {"sessions_train.csv.gz", "products_train.csv.gz"}


def test_the_block_size_does_not_change_the_sessions(folder, monkeypatch):
    body = SESSIONS.removeprefix(HEAD)
    write(folder, HEAD + body * 50)
    whole = lists(loaded(folder))
    monkeypatch.setattr(tabular, "BLOCK_BYTES", 300)
    assert lists(loaded(folder)) == whole
    assert len(whole) == 200
    write(folder, HEAD + body * 50 + "\n\n" + "['B000000001' 'B000000002',B000000003,ES\n")
    assert f"line {1 + 6 * 50 + 2 + 1}: " in load_error(folder)


def test_the_default_split_is_random_and_a_split_by_time_is_an_error(folder, tmp_path):
    rows = "".join(f"['B000000001' 'B000000002'],B00000000{1 + i % 3},ES\n" for i in range(100))
    write(folder, HEAD + rows)
    chosen = config(folder, locales=["ES"])
    data = prepare(M2.load(chosen), chosen, tmp_path / "out")
    assert [len(data.sessions_of(split)) for split in SPLITS] == [80, 10, 10]
    assert sorted(data.item_id) == names("ES", "123")
    chosen = config(folder, locales=["ES"], split="temporal")
    with pytest.raises(UserError, match="split: temporal needs sessions with a time"):
        prepare(M2.load(chosen), chosen, tmp_path / "out")


def test_counts_that_differ_from_the_published_ones_are_warnings_and_notes(folder, caplog, monkeypatch):
    raw = loaded(folder)
    assert raw.official == {"sessions of ES": 89_047, "sessions of FR": 117_561}
    warning = "2 sessions of ES were read, 89,047 are published"
    assert warning in caplog.text
    assert any(warning in note for note in raw.notes)
    caplog.clear()
    monkeypatch.setattr(M2, "OFFICIAL", {"ES": 2, "FR": 2})
    assert not any("published" in note for note in loaded(folder).notes)
    assert not caplog.text


def test_published_counts_add_up_to_the_published_total():
    assert sum(M2.OFFICIAL.values()) == 3_606_249
    assert set(M2.OFFICIAL) == set(M2.TASK)


def test_the_error_lists_missing_files_and_where_to_get_them(folder):
    (folder / "products_train.csv").unlink()
    message = load_error(folder, split="given", locales=["ES", "DE"])
    for task in (1, 2):
        for phase in (1, 2):
            assert f"sessions_test_task{task}_phase{phase}.csv" in message
    assert "missing: sessions_test" in message
    assert "products_train.csv" in message
    assert M2.TERMS in message
    assert f"there is no {folder}/" in message


def test_the_error_lists_files_that_the_mirror_lacks(folder, monkeypatch):
    monkeypatch.setenv("ALTERREC_MIRROR", str(folder))
    message = load_error(None)
    assert "missing: sessions_train.csv, products_train.csv" in message
    assert M2.TERMS in message


@pytest.mark.parametrize("locales", [[], ["ES", "US"]])
def test_empty_and_unknown_locales_are_errors_in_the_config(locales):
    with pytest.raises(UserError, match="locales"):
        checked(M2.Config, {"source": "amazon_m2", "locales": locales}, "here")


FINE = "['B000000001' 'B000000002'],B000000003,ES\n"
LONG = "\"['B000000001'\n 'B000000002']\",B000000003,ES\n"
BAD = {
    "['B000000001' 'B000000002',B000000003,ES": (
        "unbalanced brackets; expected something like",
        "unbalanced brackets",
    ),
    "'B000000001' 'B000000002'],B000000003,ES": (
        "unbalanced brackets; expected something like",
        "unbalanced brackets",
    ),
    "['B000000001'] ['B000000002'],B000000003,ES": ("unbalanced brackets; expected", "unbalanced brackets"),
    "[],B000000003,ES": ("prev_items '[]': no items; expected", "no items"),
    ",B000000003,ES": ("prev_items '': no items; expected", "no items"),
    "[B000000001 B000000002],B000000003,ES": ("not a printed array of ids; expected", "not a printed array"),
    "['B000000001''B000000002'],B000000003,ES": ("not a printed array of ids; exp", "not a printed array"),
    "['B000000001' __import__('os')],B000000003,ES": ("__import__('os')]\": not a pr", "not a printed array"),
    "['B000000001' ... 'B000000002'],B000000003,ES": ("items replaced by '...'", "items replaced"),
    "['B000000001' 'B000000002'],,ES": ("next_item '' is not an id", "no valid next_item"),
    "['B000000001' 'B000000002'],B0 B0,ES": ("next_item 'B0 B0' is not an id", "no valid next_item"),
    "['B000000001' 'B000000002'],B000000003,": ("no locale", "no locale"),
    "['B000000001' 'B000000002'],B000000003,E5": ("unknown locale 'E5'", "unknown locale"),
    "['B000000001' 'B000000002'],B000000003": (
        "2 values, the header has 3: ['B000000001'",
        "too few or too many values",
    ),
    "[],B000000003,ES\n['B000000001',B000000003,ES": ("no items", "no items"),
}


@pytest.mark.parametrize("row", BAD)
def test_a_malformed_row_is_an_error_with_its_line_or_is_dropped_and_counted(folder, row):
    message, reason = BAD[row]
    number = row.count("ES") if "\n" in row else 1
    write(folder, f"{HEAD}{FINE}{LONG}{row}\n{FINE}")
    error = load_error(folder, locales=["ES"])
    assert error.startswith("sessions_train.csv, line 5: ")
    assert message in error
    raw = loaded(folder, locales=["ES"], on_error="drop")
    assert list(lists(raw)) == ["ES-1", "ES-2", f"ES-{3 + number}"]
    dropped = {what: count for what, count in raw.counts.items() if "dropped" in what}
    assert sum(dropped.values()) == number
    assert any(reason in what for what in dropped)


def test_an_unknown_locale_is_named_with_the_nearest_known_one(folder):
    write(folder, HEAD + FINE.replace("ES", "E5"))
    assert "unknown locale 'E5' (did you mean 'ES'?); known: DE, JP, UK, ES, FR, IT" in load_error(folder)


@pytest.mark.parametrize("where", ["sessions", "products"])
def test_a_row_that_is_not_utf8_is_an_error_with_its_line(folder, where):
    if where == "sessions":
        text = f"{HEAD}{LONG}{FINE.replace('B000000002', 'é')}{FINE}"
        line = 4
    else:
        text = PRODUCTS.replace("Plato", "Plató")
        line = 4
    file = folder / f"{where}_train.csv"
    file.write_bytes(text.encode("latin-1"))
    expected = f"{file.name}, line {line}: not UTF-8"
    assert expected in load_error(folder, locales=["ES"])
    raw = loaded(folder, locales=["ES"], on_error="drop")
    assert raw.counts[f"rows of {file.name} dropped, not UTF-8"] >= 1
    assert len(raw.sessions) == 2


@pytest.mark.parametrize(
    ("file", "text", "messages"),
    [
        (
            "sessions_train.csv",
            SESSIONS.replace("prev_items", "previous_items"),
            [
                "sessions_train.csv has no column 'prev_items' (did you mean 'previous_items'?)",
                "its columns: previous_items, next_item, locale: download the file again",
            ],
        ),
        (
            "products_train.csv",
            PRODUCTS.replace("title", "titel"),
            ["no column 'title'", "id, locale, titel,"],
        ),
        ("products_train.csv", PRODUCTS.replace("B000000002,ES", ",ES"), ["line 4: id '' is not an id"]),
        ("sessions_train.csv", "", ["sessions_train.csv cannot be read: it is empty"]),
        ("sessions_train.csv", HEAD, ["sessions_train.csv has no rows below its header"]),
        ("sessions_train.csv", HEAD + FINE, ["sessions_train.csv has no session of FR"]),
        ("products_train.csv", PRODUCTS[:66] + "B1,UK,a,,,,,,,,\n", ["has no product of ES, FR"]),
        ("sessions_train.csv", SESSIONS + "\"['B000000001'", ["sessions_train.csv"]),
    ],
)
def test_a_file_in_another_layout_is_an_error(folder, file, text, messages):
    (folder / file).write_text(text, encoding="utf-8")
    error = load_error(folder)
    assert all(message in error for message in messages), error


def test_a_missing_text_column_is_an_error_that_lists_the_columns(folder):
    assert "no column 'tittle' (did you mean 'title'?); its columns: id, locale, title," in load_error(
        folder, text_columns=["tittle"]
    )


def test_a_truncated_gzip_file_is_an_error_that_names_it(folder):
    packed = gzip.compress((folder / "sessions_train.csv").read_bytes())
    (folder / "sessions_train.csv").unlink()
    (folder / "sessions_train.csv.gz").write_bytes(packed[:-20])
    assert "sessions_train.csv.gz cannot be read" in load_error(folder)


# The challenge's split

TEST_HEAD = "prev_items,locale\n"
KNOWN = "['B000000001' 'B000000002'],FR\n['B000000009' 'B000000008'],IT\n['B000000003' 'B000000002'],ES\n"


def write_phases(folder, text=TEST_HEAD + KNOWN):
    for phase in (1, 2):
        (folder / f"sessions_test_task2_phase{phase}.csv").write_text(text, encoding="utf-8")


def test_the_given_split_is_the_training_file_and_the_two_phases(folder, tmp_path):
    write_phases(folder)
    chosen = config(folder, split="given")
    raw = M2.load(chosen)
    split = dict(zip(raw.sessions["session_id"], raw.sessions["split"], strict=True))
    assert split["ES-1"] == "train"
    assert {name: split[name] for name in split if "phase" in name} == {
        "FR-phase1-1": "validation",
        "ES-phase1-3": "validation",
        "FR-phase2-1": "test",
        "ES-phase2-3": "test",
    }
    assert lists(raw)["ES-phase1-3"] == names("ES", "32")
    assert sum("its sessions end with their last known item" in note for note in raw.notes) == 2
    assert raw.counts["validation sessions of FR"] == 1
    data = prepare(raw, chosen, tmp_path / "out")
    assert [len(data.sessions_of(name)) for name in SPLITS] == [4, 2, 2]
    assert "split" not in loaded(folder).sessions


def test_targets_come_from_a_separate_file_or_from_a_column(folder):
    write_phases(folder)
    (folder / "gt_task2_phase1.csv").write_text("next_item\nB000000003\nB000000008\nB000000001\n")
    (folder / "sessions_test_task2_phase2.csv").write_text(SESSIONS, encoding="utf-8")
    raw = loaded(folder, split="given")
    assert lists(raw)["FR-phase1-1"] == names("FR", "123")
    assert lists(raw)["ES-phase1-3"] == names("ES", "321")
    assert lists(raw)["FR-phase2-2"] == names("FR", "1231222")
    assert not any("last known item" in note for note in raw.notes)


@pytest.mark.parametrize("rows", [2, 4])
def test_a_file_of_targets_with_another_number_of_rows_is_an_error(folder, rows):
    write_phases(folder)
    (folder / "gt_task2_phase1.csv").write_text("next_item\n" + "B000000003\n" * rows)
    assert f"gt_task2_phase1.csv has {rows} rows, sessions_test_task2_phase1.csv 3" in load_error(
        folder, split="given"
    )


@pytest.mark.parametrize("encode", [lambda items: str(np.array(items)), list])
def test_parquet_files_give_the_same_sessions(folder, encode):
    write_phases(folder)
    expected = lists(loaded(folder, split="given"))
    rows = [["B000000001", "B000000002"], ["B000000009", "B000000008"], ["B000000003", "B000000002"]]
    frame = pd.DataFrame({"prev_items": [encode(row) for row in rows], "locale": ["FR", "IT", "ES"]})
    (folder / "sessions_test_task2_phase1.csv").unlink()
    frame.to_parquet(folder / "sessions_test_task2_phase1.parquet")
    assert lists(loaded(folder, split="given")) == expected
    frame["locale"] = ["FR", None, "ES"]
    frame.to_parquet(folder / "sessions_test_task2_phase1.parquet")
    assert "sessions_test_task2_phase1.parquet: row 2: no locale" in load_error(folder, split="given")


def test_an_abbreviated_printed_array_is_an_error(folder):
    printed = str(np.array([f"B{number:09d}" for number in range(1001)]))
    assert "..." in printed
    write(folder, f'{HEAD}"{printed}",B000000003,ES\n')
    assert "items replaced by '...', as NumPy prints arrays of more than 1000" in load_error(
        folder, locales=["ES"]
    )


# What reading costs


def test_generated_benchmark_files_have_the_layout_and_the_stated_size(tmp_path):
    figures = measure_parsing(tmp_path, sessions=5_000, products=2_000)
    assert (figures["sessions"], figures["products"]) == (5_000, 2_000)
    assert all(figures[key] > 0 for key in ("sessions_per_second", "products_per_second", "peak_bytes"))
    raw = loaded(tmp_path, locales=list(M2.OFFICIAL))
    length = raw.sessions["items"].map(len)
    assert len(length) == 5_000
    assert 4.0 < length.mean() < 4.6
    assert length.max() > 15
    assert raw.items["item_id"].is_unique
    assert set(raw.items["text"].str.split().map(len)) == {12}
    assert {item for items in raw.sessions["items"] for item in items} <= set(raw.items["item_id"])
