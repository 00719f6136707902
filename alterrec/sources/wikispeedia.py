"""Wikispeedia: clicks of players who looked for a path from one Wikipedia article to another (SNAP, Stanford).

Source: https://snap.stanford.edu/data/wikispeedia.html. R. West, J. Pineau, D. Precup: Wikispeedia: An Online Game for
Inferring Semantic Distances between Concepts, IJCAI 2009; R. West, J. Leskovec: Human Wayfinding in Information
Networks, WWW 2012.

A session is one game: the articles that were on screen, in order. A back click "<" shows the previous article again,
as in a browser: a;b;<;c is the session a, b, a, c. Leaving out b would reveal at a that the player is about to regret
b, which nobody knew at that time.
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
from alterrec.sources._raw import DatasetConfig, Raw, joined_text, require_published_counts

if TYPE_CHECKING:
    import pandas as pd

PAGE = "https://snap.stanford.edu/data/wikispeedia.html"
NAME = "wikispeedia_paths-and-graph"
DOWNLOAD = Download(
    f"wikispeedia/{NAME}.tar.gz",
    f"https://snap.stanford.edu/data/wikispeedia/{NAME}.tar.gz",
    by_hand=f"download {NAME}.tar.gz from {PAGE}",
)
PUBLISHED = {"finished": 51_318, "unfinished": 24_875, "articles": 4_604}
COLUMNS = {"finished": 5, "unfinished": 6}  # address, time, duration, path, and rating or target and type
BACK = "<"


class Config(DatasetConfig):
    """Which games to read."""

    paths: Literal["finished", "all"] = Field(
        "finished",
        description="'finished' reads the games that reached their goal. 'all' also reads those that were given up",
    )


def fetch_files(config: Config) -> list[Path]:
    """The archive, downloaded if the cache lacks it."""
    return [fetch(DOWNLOAD)]


def load(config: Config) -> Raw:
    """Read the archive. UserError for a broken archive, a malformed line or a count that is not the published one."""
    import pandas as pd

    (archive,) = fetch_files(config)
    kinds = ["finished"] if config.paths == "finished" else ["finished", "unfinished"]
    bad = {kind: BadRows(f"paths_{kind}.tsv", config.on_error) for kind in kinds}
    bad["categories"] = BadRows("categories.tsv", config.on_error)
    articles = [fields[0] for _, fields in _rows(archive, "articles.tsv")]
    require_published_counts(archive, {"articles": len(articles)}, PUBLISHED)
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
            "A session is one game: the articles that were on screen, in order. Its time is the one in the file.",
            "A back click shows the previous article again: a;b;<;c is a, b, a, c.",
            "The id of a session names its file and line. An item's text is its title and its categories.",
        ],
        limits=LIMITS,
        counts={what: count for rows in bad.values() for what, count in rows.counts.items()},
        official={f"{what} paths" if what in COLUMNS else what: n for what, n in PUBLISHED.items()},
        sessions_name="paths",
        items_name="articles.tsv",
    )


LIMITS = [
    "The data are a game, not shopping: the player knows the goal and clicks towards it. The goal is the last item of a "
    "finished game, and no model is given it.",
    "A player can click linked articles only. Models rank all articles and are not given the links.",
    "After a back click the next item is in the prefix. Such targets are counted above as targets in the prefix.",
    "Many people played the same start and goal, and one person played many games, so games in test resemble games in "
    "training.",
]


def _rows(archive: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    """The number (from 1) and fields of every line that is neither blank nor a comment."""
    with open_member(archive, f"{NAME}/{name}") as file:
        for number, line in enumerate(file, 1):
            if line.strip() and not line.startswith(b"#"):
                yield number, line.decode(errors="replace").rstrip("\r\n").split("\t")


def _games(
    archive: Path, kind: str, articles: set[str], bad: BadRows
) -> Iterator[tuple[str, list[str], int]]:
    """The session id, the articles on screen and the time (seconds since 1970) of every game of one file."""
    rows = 0
    for number, fields in _rows(archive, f"paths_{kind}.tsv"):
        rows += 1
        if len(fields) != COLUMNS[kind] or not fields[1].isdecimal():
            bad.add(f"not {COLUMNS[kind]} columns of which the second is a time", line=number)
            continue
        clicks = fields[3].split(";")
        unknown = next((click for click in clicks if click != BACK and click not in articles), None)
        if unknown is not None:
            bad.add("article that articles.tsv lacks", f"articles.tsv lacks the article {unknown!r}", number)
            continue
        try:
            shown = _on_screen(clicks)
        except IndexError:
            bad.add("back click without a previous article", line=number)
            continue
        yield f"{kind}-{number}", shown, int(fields[1])
    require_published_counts(archive, {kind: rows}, PUBLISHED)


def _on_screen(clicks: list[str]) -> list[str]:
    """The article that each click shows. IndexError for a back click without a previous article."""
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
    """The categories, such as Science > Biology, of every article that has any."""
    categories = defaultdict(list)
    for number, fields in _rows(archive, "categories.tsv"):
        if len(fields) != 2:
            bad.add("not an article and a category", line=number)
            continue
        article, category = fields
        path = category.removeprefix("subject.").split(".")
        categories[article].append(" > ".join(path))
    return categories


def _items(articles: list[str], categories: dict[str, list[str]]) -> pd.DataFrame:
    """item_id, as the files write it, and text, without URL encoding and underscores."""
    import pandas as pd

    frame = pd.DataFrame({"item_id": articles})
    frame["title"] = [unquote(article) for article in articles]
    frame["categories"] = ["; ".join(categories.get(article, [])) for article in articles]
    readable = frame[["title", "categories"]].replace("_", " ", regex=True)
    return frame[["item_id"]].assign(text=joined_text(readable, ["title", "categories"]))
