"""Amazon-M2: files in the layouts of the challenge and of RecBole become sessions; malformed files are errors."""

import gzip
import zipfile
from itertools import groupby

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alterrec import registry
from alterrec.bench.parsing_cost import measure_parsing
from alterrec.data.dataset import SPLITS
from alterrec.data.prepare import prepare
from alterrec.errors import UserError
from alterrec.readers import id_lists, tabular
from alterrec.study.check import checked

M2 = registry.source("amazon_m2")
RECBOLE = registry.source("amazon_m2_recbole")
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


# Printed arrays

IDS = st.text(st.characters(categories=["L", "N"], include_characters="-_.:/,#"), min_size=1, max_size=12)


@given(st.lists(st.lists(IDS, min_size=1, max_size=60), min_size=1, max_size=5), st.integers(0, 1))
def test_parsing_a_printed_array_gives_its_ids(rows, how):
    print_array = (np.array2string, str)[how]
    values = pa.array([print_array(np.array(row)) for row in rows])
    assert id_lists.is_printed(values).all()
    offsets, ids = id_lists.parsed(values)
    assert [ids[a:b].to_pylist() for a, b in zip(offsets, offsets[1:], strict=False)] == rows
    again = id_lists.printed(pa.array(rows))
    assert id_lists.parsed(again)[1].to_pylist() == ids.to_pylist()


PARTS = ["['", "'B1'", "' 'B", "'\n 'B", "B", "']", "[", "]", "'", " ", "...", "\\", '"']


@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
def test_values_that_are_not_printed_arrays_have_a_fault(value):
    if id_lists.is_printed(pa.array([value]))[0]:
        assert str(np.array(value[2:-2].replace("'", " ").split())).split() == value.split()
    else:
        assert id_lists.fault(value)


def test_an_abbreviated_printed_array_is_an_error(folder):
    printed = str(np.array([f"B{number:09d}" for number in range(1001)]))
    assert "..." in printed
    write(folder, f'{HEAD}"{printed}",B000000003,ES\n')
    assert "items replaced by '...', as NumPy prints arrays of more than 1000" in load_error(
        folder, locales=["ES"]
    )


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=6))
def test_repeats_are_removed_within_a_list_only(rows):
    offsets = np.cumsum([0, *map(len, rows)])
    ids = pa.array([value for row in rows for value in row], pa.string())
    offsets, ids = id_lists.without_repeats(offsets, ids)
    kept = [ids[a:b].to_pylist() for a, b in zip(offsets, offsets[1:], strict=False)]
    assert kept == [[value for value, _ in groupby(row)] for row in rows]


# RecBole's files

INTER = """session_id:token\titem_id:token\tlocale:token\ttimestamp:float
1\tB01\tES\t2
1\tB02\tES\t1
2\tB01\tFR\t1
1\tB02\tES\t3
2\tB01\tFR\t2
"""
ITEM = """item_id:token\tlocale:token\ttitle:token_seq\tprice:float
B01\tES\tTaza "azul\t1
B02\tES\tPlato\t2
B01\tFR\tTasse\t1
"""


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("ALTERREC_MIRROR", str(tmp_path))
    (tmp_path / "amazon_m2").mkdir()

    def fill(inter=INTER, item=ITEM, **more):
        with zipfile.ZipFile(tmp_path / "amazon_m2" / "amazon_m2.zip", "w") as archive:
            for name, text in {"amazon_m2.inter": inter, "amazon_m2.item": item, **more}.items():
                archive.writestr(f"amazon_m2/{name}", text)

    fill()
    return fill


def recbole(**settings):
    return RECBOLE.load(RECBOLE.Config(**{"source": "amazon_m2_recbole", "locales": ["ES", "FR"]} | settings))


def test_recbole_clicks_become_sessions_in_time_order(mirror):
    raw = recbole()
    assert lists(raw) == {"ES-1": ["ES/B02", "ES/B01", "ES/B02"], "FR-2": ["FR/B01", "FR/B01"]}
    assert dict(zip(raw.items["item_id"], raw.items["text"], strict=True)) == {
        "ES/B01": 'Taza "azul',
        "ES/B02": "Plato",
        "FR/B01": "Tasse",
    }
    assert any("by the column timestamp:float" in note for note in raw.notes)
    assert lists(recbole(locales=["FR"], consecutive_repeats="drop")) == {"FR-2": ["FR/B01"]}


def test_recbole_sessions_without_times_are_in_the_order_of_the_file(mirror):
    mirror(INTER.replace("timestamp:float", "weight:float"))
    assert lists(recbole(locales=["ES"])) == {"ES-1": ["ES/B01", "ES/B02", "ES/B02"]}


def test_recbole_counts_are_compared_with_the_published_ones(mirror, caplog):
    raw = recbole(locales=["ES"])
    assert raw.official["clicks of all locales"] == 15_306_183
    assert "2 sessions of all locales were read, 3,606,349 are published" in caplog.text
    assert "3 products of all locales were read, 1,410,675 are published" in caplog.text
    assert sum("5 clicks of all locales were read, 15,306,183 are" in note for note in raw.notes) == 1


def test_recbole_clicks_without_a_locale_take_that_of_their_item(mirror):
    inter = "sess_id:token\tproduct_id:token\n7\tB02\n7\tB03\n8\tB04\n8\tB04\n"
    item = "item_id:token\tlocale:token\ttitle:token\nB02\tES\ta\nB03\tES\tb\nB04\tFR\tc\n"
    mirror(inter, item)
    assert lists(recbole()) == {"ES-7": ["ES/B02", "ES/B03"], "FR-8": ["FR/B04", "FR/B04"]}
    mirror(inter + "8\tB05\n", item)
    with pytest.raises(UserError, match="amazon_m2.inter, line 6: item that the file of items lacks"):
        recbole()
    mirror(inter, item + "B02\tFR\td\n")
    with pytest.raises(UserError, match="1 rows of .*amazon_m2.item repeat the id of an earlier row"):
        recbole()


@pytest.mark.parametrize(
    ("inter", "item", "message"),
    [
        (
            INTER.replace("session_id:token", "visit:token"),
            ITEM,
            "no column for session: none of session_id:",
        ),
        (
            INTER.replace("item_id:token", "item_id:token_seq"),
            ITEM,
            "its columns: session_id:token, item_id:tok",
        ),
        (INTER, ITEM.replace("locale:token", "land:token"), "amazon_m2.item has no column for locale"),
        (INTER, ITEM.replace("title:token_seq", "name:token"), "amazon_m2.item has no column for title"),
        (INTER + "1\tB01\tES\tnoon\n", ITEM, "line 7: order that is not a number"),
        (INTER + "1\tB01\n", ITEM, "line 7: 2 values, the header has 4: 1\tB01"),
        (INTER + "\tB01\tES\t1\n", ITEM, "line 7: session '' is not an id"),
        (INTER, ITEM + "B09\tXX\tt\t1\n", "amazon_m2.item, line 5: unknown locale 'XX'"),
    ],
)
def test_recbole_files_in_another_layout_are_errors(mirror, inter, item, message):
    mirror(inter, item)
    with pytest.raises(UserError) as error:
        recbole()
    assert message in str(error.value)


def test_a_recbole_archive_needs_exactly_two_files(mirror):
    mirror(**{"other.inter": "x"})
    with pytest.raises(
        UserError, match="has 2 files \\*.inter instead of one; it has: amazon_m2/amazon_m2.in"
    ):
        recbole()
    mirror()
    with pytest.raises(UserError, match="has nothing of JP"):
        recbole(locales=["JP"])


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
