"""Amazon-M2 as RecBole publishes it: clicks become sessions; files in another layout are errors."""

import zipfile

import pytest

from alterrec import registry
from alterrec.errors import UserError
from tests.unit.test_amazon_m2 import lists

RECBOLE = registry.source("amazon_m2_recbole")
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
