"""Wikispeedia: an archive in the raw format becomes sessions; a malformed one is an error."""

import io
import tarfile
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alterrec import registry
from alterrec.data.dataset import Dataset
from alterrec.data.prepare import prepare
from alterrec.errors import UserError

WIKISPEEDIA = registry.source("wikispeedia")
ARTICLES = ["%C3%85land", "AC_DC", "Abacus", "Zebra"]
CATEGORIES = [
    "%C3%85land\tsubject.Countries",
    "Abacus\tsubject.Everyday_life.Everyday_life",
    "Abacus\tsubject.Mathematics",
]
FINISHED = [  # address, time, duration, path, rating
    "6a3701d319fc3754\t1297740409\t166\t%C3%85land;AC_DC;<;Zebra\tNULL",
    "3824310e536af032\t1344753412\t88\tZebra;Abacus;AC_DC;<;<;%C3%85land\t3",
]
UNFINISHED = ["2426091a53125110\t1297054935\t1804\tAbacus;Zebra\tObi-Wan_Kenobi\ttimeout"]
COUNTS = {"finished": 2, "unfinished": 1, "articles": 4}
COMMENTS = ["# Article names are URL-encoded.", "# FORMAT:\tas\tit\tis", ""]  # three lines


def write(folder, finished=FINISHED, unfinished=UNFINISHED, articles=ARTICLES, categories=CATEGORIES):
    lists = {
        "paths_finished": finished,
        "paths_unfinished": unfinished,
        "articles": articles,
        "categories": categories,
    }
    (folder / "wikispeedia").mkdir(exist_ok=True)
    with tarfile.open(folder / "wikispeedia" / "wikispeedia_paths-and-graph.tar.gz", "w:gz") as archive:
        for name, lines in lists.items():
            content = "".join(f"{line}\n" for line in [*COMMENTS, *lines]).encode()
            member = tarfile.TarInfo(f"wikispeedia_paths-and-graph/{name}.tsv")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def config(**changes):
    return WIKISPEEDIA.Config(source="wikispeedia", **changes)


def load_error(**changes):
    with pytest.raises(UserError) as error:
        WIKISPEEDIA.load(config(**changes))
    return str(error.value)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("ALTERREC_MIRROR", str(tmp_path))
    monkeypatch.setattr(WIKISPEEDIA, "PUBLISHED", COUNTS)
    return tmp_path


def test_a_session_is_the_articles_on_screen(mirror):
    write(mirror)
    raw = WIKISPEEDIA.load(config())
    assert raw.sessions.to_dict("list") == {
        "session_id": ["finished-4", "finished-5"],
        "items": [
            ["%C3%85land", "AC_DC", "%C3%85land", "Zebra"],
            ["Zebra", "Abacus", "AC_DC", "Abacus", "Zebra", "%C3%85land"],
        ],
        "time": [1297740409, 1344753412],
    }
    assert raw.official == {"finished paths": 2, "unfinished paths": 1, "articles": 4}
    assert list(raw.checksums) == ["wikispeedia_paths-and-graph.tar.gz"]


def test_unfinished_games_are_read_with_paths_all(mirror):
    write(mirror)
    sessions = WIKISPEEDIA.load(config(paths="all")).sessions
    assert list(sessions["session_id"]) == ["finished-4", "finished-5", "unfinished-4"]
    assert sessions["items"][2] == ["Abacus", "Zebra"]


def test_an_articles_text_is_its_title_and_categories(mirror):
    write(mirror)
    items = WIKISPEEDIA.load(config()).items
    assert dict(zip(items["item_id"], items["text"], strict=True)) == {
        "%C3%85land": "Åland\nCountries",
        "AC_DC": "AC DC",
        "Abacus": "Abacus\nEveryday life > Everyday life; Mathematics",
        "Zebra": "Zebra",
    }


def test_games_are_split_by_time(mirror, monkeypatch):
    times = [(7 * game) % 20 for game in range(20)]
    monkeypatch.setattr(WIKISPEEDIA, "PUBLISHED", COUNTS | {"finished": 20})
    write(mirror, [f"a\t{time}\t1\tZebra;Abacus;<\tNULL" for time in times])
    prepare(WIKISPEEDIA.load(config()), config(), mirror / "out")
    data = Dataset.load(mirror / "out")
    test = {f"finished-{4 + times.index(time)}" for time in (18, 19)}
    assert set(data.session_id[data.sessions_of("test")]) == test
    assert data.card["statistics"]["splits"]["test"]["repeated_targets"] == 2


@pytest.mark.parametrize(
    ("line", "reason", "message"),
    [
        ("a\t5\t1\tZebra;Abacus", "not 5 columns of which the second is a time", None),
        ("a\t5\t1\tZebra;Abacus\tNULL\tmore", "not 5 columns of which the second is a time", None),
        ("a\tnoon\t1\tZebra;Abacus\tNULL", "not 5 columns of which the second is a time", None),
        ("a\t5\t1\t<;Abacus\tNULL", "back click without a previous article", None),
        ("a\t5\t1\tZebra;<;Abacus\tNULL", "back click without a previous article", None),
        (
            "a\t5\t1\tZebra;Yeti\tNULL",
            "article that articles.tsv lacks",
            "articles.tsv lacks the article 'Yeti'",
        ),
        ("a\t5\t1\t\tNULL", "article that articles.tsv lacks", "articles.tsv lacks the article ''"),
    ],
)
def test_a_malformed_path_is_an_error_or_is_dropped_and_counted(mirror, monkeypatch, line, reason, message):
    write(mirror, [FINISHED[0], line, FINISHED[1]])
    assert load_error().startswith(f"paths_finished.tsv, line 5: {message or reason}: ")
    monkeypatch.setattr(WIKISPEEDIA, "PUBLISHED", COUNTS | {"finished": 3})
    raw = WIKISPEEDIA.load(config(on_error="drop"))
    assert raw.counts == {f"rows of paths_finished.tsv dropped, {reason}": 1}
    assert list(raw.sessions["session_id"]) == ["finished-4", "finished-6"]


def test_a_malformed_category_is_an_error_or_is_dropped_and_counted(mirror):
    write(mirror, categories=[*CATEGORIES, "Zebra"])
    assert load_error().startswith("categories.tsv, line 7: not an article and a category: ")
    counts = WIKISPEEDIA.load(config(on_error="drop")).counts
    assert counts == {"rows of categories.tsv dropped, not an article and a category": 1}


@pytest.mark.parametrize("what", list(COUNTS))
def test_counts_that_differ_from_the_published_ones_are_an_error(mirror, monkeypatch, what):
    monkeypatch.setattr(WIKISPEEDIA, "PUBLISHED", COUNTS | {what: 9})
    write(mirror)
    assert f"found {COUNTS[what]} {what}, published 9: delete the file to download it again" in load_error(
        paths="all"
    )


def test_unfinished_games_that_are_not_read_are_not_counted(mirror, monkeypatch):
    monkeypatch.setattr(WIKISPEEDIA, "PUBLISHED", COUNTS | {"unfinished": 9})
    write(mirror, unfinished=["broken"])
    assert len(WIKISPEEDIA.load(config()).sessions) == 2


def test_the_error_shows_the_published_count(tmp_path, monkeypatch):
    monkeypatch.setenv("ALTERREC_MIRROR", str(tmp_path))
    write(tmp_path)
    assert "found 4 articles, published 4,604" in load_error()
    monkeypatch.setitem(WIKISPEEDIA.PUBLISHED, "articles", 4)
    assert "found 2 finished, published 51,318" in load_error()
    monkeypatch.setitem(WIKISPEEDIA.PUBLISHED, "finished", 2)
    assert "found 1 unfinished, published 24,875" in load_error(paths="all")


# A game is a walk through a tree, into each child and back. The tree gives both the clicks and the articles on screen.

TITLES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="_"), min_size=1, max_size=6)
TREES = st.recursive(
    st.tuples(st.integers(0, 4), st.just([])),
    lambda trees: st.tuples(st.integers(0, 4), st.lists(trees, max_size=3)),
    max_leaves=8,
)


def clicks(tree):
    article, children = tree
    return [article, *(click for child in children for click in [*clicks(child), "<"])]


def on_screen(tree):
    article, children = tree
    return [article, *(shown for child in children for shown in [*on_screen(child), article])]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(TITLES, min_size=5, max_size=5, unique=True),
    st.lists(TREES.filter(lambda tree: tree[1]), min_size=3, max_size=6),
)
def test_generated_games_survive_a_round_trip(tmp_path_factory, titles, games):
    articles = [quote(title, safe="") for title in titles]
    paths = [";".join(c if c == "<" else articles[c] for c in clicks(game)) for game in games]
    folder = tmp_path_factory.mktemp("any")
    write(folder, [f"a\t{time}\t1\t{path}\tNULL" for time, path in enumerate(paths)], [], articles, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALTERREC_MIRROR", str(folder))
        patch.setattr(WIKISPEEDIA, "PUBLISHED", {"finished": len(games), "articles": 5})
        raw = WIKISPEEDIA.load(config())
    prepare(raw, config(split="random", max_length=None), folder / "out")
    data = Dataset.load(folder / "out")
    items = [list(data.text[data.items_of(s)]) for s in range(len(data.session_id))]
    assert items == [[titles[shown] for shown in on_screen(game)] for game in games]
