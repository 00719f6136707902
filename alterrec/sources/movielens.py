"""MovieLens 100k and 1m: the movies that a user rated in one sitting, in time order (GroupLens).

Source: https://grouplens.org/datasets/movielens/. F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and
Context, ACM Transactions on Interactive Intelligent Systems 5(4), 2015.

A session is a run of one user's ratings without a pause of more than `gap_minutes`. Users submitted many ratings in
the same second. Their true order is unknown, and the order in the files may reveal the next movie. Ratings of the
same second are therefore ordered by a keyed hash of user and movie, which is the same on every machine.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from alterrec.files import file_checksum
from alterrec.readers.archives import open_member
from alterrec.readers.bad_rows import BadRows
from alterrec.readers.downloads import Download, fetch
from alterrec.sources._raw import DatasetConfig, Raw, joined_text, require_published_counts, tie_break_keys

if TYPE_CHECKING:
    import pandas as pd

PAGE = "https://grouplens.org/datasets/movielens/"
FILES = "https://files.grouplens.org/datasets/movielens"
RATINGS = {"100k": ("ml-100k/u.data", "\t"), "1m": ("ml-1m/ratings.dat", "::")}
MOVIES = {"100k": "ml-100k/u.item", "1m": "ml-1m/movies.dat"}
GENRES = "ml-100k/u.genre"
PUBLISHED = {
    "100k": {"ratings": 100_000, "users": 943, "movies": 1_682},
    "1m": {"ratings": 1_000_209, "users": 6_040, "movies": 3_883, "movies rated": 3_706},
}


class Config(DatasetConfig):
    """Which of the two datasets to read, and where a session ends."""

    size: Literal["100k", "1m"] = Field(description="Version of MovieLens: '100k' or '1m' ratings")
    gap_minutes: int = Field(
        60,
        ge=1,
        description="A pause between two ratings that is longer than this many minutes ends a session",
    )


def fetch_files(config: Config) -> list[Path]:
    """The archive, downloaded if the cache lacks it."""
    return [fetch(_download(f"ml-{config.size}.zip"))]


def load(config: Config) -> Raw:
    """Read one archive. UserError for a broken archive, a malformed line or a count that is not the published one."""
    (archive,) = fetch_files(config)
    (ratings_name, separator), movies_name = RATINGS[config.size], MOVIES[config.size]
    bad_ratings, bad_movies = BadRows(ratings_name, config.on_error), BadRows(movies_name, config.on_error)
    ratings = _ratings(_lines(archive, ratings_name), separator, bad_ratings)
    movies = _movies(archive, config.size, bad_movies)
    found = {
        "ratings": len(ratings) + bad_ratings.reasons.total(),
        "users": ratings["user"].nunique(),
        "movies": len(movies) + bad_movies.reasons.total(),
        "movies rated": ratings["movie"].nunique(),
    }
    require_published_counts(archive, found, PUBLISHED[config.size])
    ordered = _ordered(ratings)
    tied = int(ordered.duplicated(["user", "time"]).sum())
    return Raw(
        sessions=_sessions(ordered, config.gap_minutes),
        items=movies.assign(text=joined_text(movies, ["title", "genres"]))[["item_id", "text"]],
        source=f"MovieLens {config.size} (GroupLens)",
        url=PAGE,
        citation="F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and Context, "
        "ACM Transactions on Interactive Intelligent Systems 5(4), 2015",
        licence="GroupLens' own, in the archive's README: research only, no redistribution, cite the paper",
        checksums={archive.name: file_checksum(archive)},
        note=f"{tied / max(1, len(ordered)):.0%} of the ratings are in the same second as the user's previous rating; a "
        "hash decides their order",
        notes=[
            f"A session is a run of one user's ratings without a pause of more than {config.gap_minutes} minutes. Its time, "
            "which a split by time uses, is the time of its first rating.",
            "The values of the ratings are not used.",
            "Ratings of the same second are ordered by a keyed hash of user and movie.",
            "An item's text is its title, which includes the year, and its genres.",
        ],
        limits=LIMITS,
        counts={
            "ratings in the second of the user's previous rating": tied,
            **bad_ratings.counts,
            **bad_movies.counts,
        },
        official=PUBLISHED[config.size],
        sessions_name=ratings_name,
        items_name=movies_name,
    )


LIMITS = [
    "The events are ratings, not views: a session is a sitting in which movies were rated, not one in which they were "
    "watched.",
    "What a user rated next depends partly on what the site listed next. The data do not separate this from a choice.",
    "The true order of ratings of the same second (counted above) is unknown. The hash reveals nothing about the next "
    "item, so such a target can only be guessed: its rank is that of an item of a set, not of a sequence.",
    "A user rates a movie once, so no target occurs in its own prefix or in the user's other sessions.",
    "Every user has at least 20 ratings, because the publisher selected them so. The sessions of a user are in several "
    "splits.",
]


def _download(name: str) -> Download:
    return Download(f"movielens/{name}", f"{FILES}/{name}", by_hand=f"download {name} from {PAGE}")


def _lines(archive: Path, member: str) -> Iterator[tuple[int, str]]:
    """The number (from 1) and text of every line that is not blank."""
    with open_member(archive, member) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line.decode("latin-1").rstrip("\r\n")


def _ratings(lines: Iterator[tuple[int, str]], separator: str, bad: BadRows) -> pd.DataFrame:
    """One row per rating in the file's order: user, movie and time (seconds since 1970), all int64."""
    import numpy as np
    import pandas as pd

    rows = array("q")
    for number, line in lines:
        try:
            user, movie, _, time = map(int, line.split(separator))
            rows.extend(array("q", (user, movie, time)))
        except (ValueError, OverflowError):
            bad.add("not four whole numbers", f"not user, movie, rating and time: {line[:80]!r}", number)
    return pd.DataFrame(np.asarray(rows).reshape(-1, 3), columns=["user", "movie", "time"])


def _movies(archive: Path, size: str, bad: BadRows) -> pd.DataFrame:
    """One row per movie in the file's order: item_id, title and genres, all str."""
    import pandas as pd

    genres = [line.split("|")[0] for _, line in _lines(archive, GENRES)] if size == "100k" else []
    rows = []
    for number, line in _lines(archive, MOVIES[size]):
        try:
            movie, title, movie_genres = _parse_flags(line, genres) if size == "100k" else line.split("::")
            rows.append((str(int(movie)), title, movie_genres.replace("|", ", ")))
        except ValueError:
            bad.add("not a movie", f"not a movie's number, title and genres: {line[:80]!r}", number)
    return pd.DataFrame(rows, columns=["item_id", "title", "genres"])


def _parse_flags(line: str, genres: list[str]) -> tuple[str, str, str]:
    """Number, title and genres of a line of u.item. Its last fields are one 0 or 1 for each genre."""
    movie, title, _, _, _, *flags = line.split("|")
    movie_genres = [genre for genre, flag in zip(genres, flags, strict=True) if int(flag)]
    return movie, title, "|".join(movie_genres)


def _ordered(ratings: pd.DataFrame) -> pd.DataFrame:
    """The ratings sorted by user, time and tie-break key."""
    import numpy as np

    pairs = zip(ratings["user"], ratings["movie"], strict=True)
    keys = tie_break_keys(f"{user} {movie}" for user, movie in pairs)
    return ratings.iloc[np.lexsort((keys, ratings["time"], ratings["user"]))]


def _sessions(ratings: pd.DataFrame, gap_minutes: int) -> pd.DataFrame:
    """session_id (user-number), items and time (of the first rating). `ratings` are sorted by user and time."""
    paused = ratings.groupby("user")["time"].diff().gt(60 * gap_minutes)
    number = paused.groupby(ratings["user"]).cumsum().astype(int) + 1
    session_id = ratings["user"].astype(str) + "-" + number.astype(str)
    events = ratings.assign(session_id=session_id, movie=ratings["movie"].astype(str))
    sessions = events.groupby("session_id", sort=False)
    return sessions.agg(items=("movie", list), time=("time", "first")).reset_index()
