"""Wikispeedia: clicks of people who sought the way from one Wikipedia article to another (SNAP, Stanford).

Source: https://snap.stanford.edu/data/wikispeedia.html. R. West, J. Pineau, D. Precup: Wikispeedia: An Online Game for
Inferring Semantic Distances between Concepts, IJCAI 2009; R. West, J. Leskovec: Human Wayfinding in Information
Networks, WWW 2012.

A session is a game: the articles that were on screen, in order. A back click "<" shows the article before once more,
as a browser does: a;b;<;c is the session a, b, a, c. Leaving b out would tell at a that the player would regret b,
which nobody knew then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from pydantic import Field

from alterrec.files import file_checksum
from alterrec.readers.archives import open_member
from alterrec.readers.bad_rows import BadRows
from alterrec.readers.downloads import Download, fetch
from alterrec.sources._raw import DatasetConfig, Raw, joined_text, require_published

if TYPE_CHECKING:
    import pandas as pd

PAGE = "https://snap.stanford.edu/data/wikispeedia.html"
NAME = "wikispeedia_paths-and-graph"
DOWNLOAD = Download(
    f"wikispeedia/{NAME}.tar.gz",
    f"https://snap.stanford.edu/data/wikispeedia/{NAME}.tar.gz",
    by_hand=f"get {NAME}.tar.gz from {PAGE}",
)
PUBLISHED = {"finished": 51_318, "unfinished": 24_875, "articles": 4_604}
COLUMNS = {"finished": 5, "unfinished": 6}  # address, time, duration, path, and rating or target and type
BACK = "<"


class Config(DatasetConfig):
    """Which games."""

    paths: Literal["finished", "all"] = Field(
        "finished", description="games that reached their goal, or also those that were given up"
    )


def load(config: Config) -> Raw:
    """Read the archive. UserError where it, a line of it or a count that is published is wrong."""
    import pandas as pd

    archive = fetch(DOWNLOAD)
    kinds = ["finished"] if config.paths == "finished" else ["finished", "unfinished"]
    bad = {kind: BadRows(f"paths_{kind}.tsv", config.on_error) for kind in kinds}
    bad["categories"] = BadRows("categories.tsv", config.on_error)
    articles = [fields[0] for _, fields in _rows(archive, "articles.tsv")]
    require_published(archive, {"articles": len(articles)}, PUBLISHED)
    games = [game for kind in kinds for game in _games(archive, kind, set(articles), bad[kind])]
    return Raw(
        sessions=pd.DataFrame(games, columns=["session_id", "items", "time"]),
        items=_items(articles, _categories(archive, bad["categories"])),
        source=f"Wikispeedia, {config.paths} paths (SNAP)",
        url=PAGE,
        citation="R. West, J. Pineau, D. Precup: Wikispeedia: An Online Game for Inferring Semantic Distances between "
        "Concepts, IJCAI 2009; R. West, J. Leskovec: Human Wayfinding in Information Networks, WWW 2012",
        licence="none known; the publisher's page asks for the citation",
        checksums={archive.name: file_checksum(archive)},
        notes=[
            "A session is one game: the articles that were on screen, in order; its time is the one the file gives.",
            "A back click shows the article before once more: a;b;<;c is a, b, a, c.",
            "A session's id is its file's kind and line; an item's text is its title and categories.",
        ],
        limits=LIMITS,
        counts={what: count for rows in bad.values() for what, count in rows.counts.items()},
        official={f"{what} paths" if what in COLUMNS else what: n for what, n in PUBLISHED.items()},
        sessions_name="paths",
        items_name="articles.tsv",
    )


LIMITS = [
    "A game, not shopping: the player was given the goal and clicks towards it. The goal is the last item of a finished "
    "path, and no model is told it.",
    "Only linked articles can be clicked; models rank all articles and aren't told the links.",
    "After a back click the next item is one of the prefix: such targets are counted above as in the prefix.",
    "Many people played the same start and goal, and one person many games: test has games like those of training.",
]


def _rows(archive: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of the lines that are neither blank nor comments."""
    with open_member(archive, f"{NAME}/{name}") as file:
        for number, line in enumerate(file, 1):
            if line.strip() and not line.startswith(b"#"):
                yield number, line.decode(errors="replace").rstrip("\r\n").split("\t")


def _games(
    archive: Path, kind: str, articles: set[str], bad: BadRows
) -> Iterator[tuple[str, list[str], int]]:
    """Session id, articles on screen and time in seconds of every game of one file."""
    rows = 0
    for number, fields in _rows(archive, f"paths_{kind}.tsv"):
        rows += 1
        if len(fields) != COLUMNS[kind] or not fields[1].isdecimal():
            bad.add(f"not {COLUMNS[kind]} columns with a time in the second", line=number)
            continue
        clicks = fields[3].split(";")
        unknown = next((click for click in clicks if click != BACK and click not in articles), None)
        if unknown is not None:
            bad.add("article that articles.tsv lacks", f"articles.tsv lacks the article {unknown!r}", number)
            continue
        try:
            shown = _on_screen(clicks)
        except IndexError:
            bad.add("back click with no article before", line=number)
            continue
        yield f"{kind}-{number}", shown, int(fields[1])
    require_published(archive, {kind: rows}, PUBLISHED)


def _on_screen(clicks: list[str]) -> list[str]:
    """The article that each click shows. IndexError for a back click with no article before."""
    open_articles: list[str] = []
    shown = []
    for click in clicks:
        if click == BACK:
            open_articles.pop()
        else:
            open_articles.append(click)
        shown.append(open_articles[-1])
    return shown


def _categories(archive: Path, bad: BadRows) -> dict[str, list[str]]:
    """The categories of every article that has one, such as Science > Biology."""
    categories = defaultdict(list)
    for number, fields in _rows(archive, "categories.tsv"):
        if len(fields) != 2:
            bad.add("not article and category", line=number)
            continue
        article, category = fields
        path = category.removeprefix("subject.").split(".")
        categories[article].append(" > ".join(path))
    return categories


def _items(articles: list[str], categories: dict[str, list[str]]) -> pd.DataFrame:
    """item_id (as the files write it) and text (decoded)."""
    import pandas as pd

    frame = pd.DataFrame({"item_id": articles})
    frame["title"] = [unquote(article) for article in articles]
    frame["categories"] = ["; ".join(categories.get(article, [])) for article in articles]
    readable = frame[["title", "categories"]].replace("_", " ", regex=True)
    return frame[["item_id"]].assign(text=joined_text(readable, ["title", "categories"]))
