"""MovieLens: archives in the two raw formats become sessions; malformed ones are errors."""

import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alterrec import registry
from alterrec.data.dataset import Dataset
from alterrec.data.prepare import prepare
from alterrec.errors import UserError

MOVIELENS = registry.source("movielens")
HOUR = 3600
RATINGS = [  # user, movie, rating, time
    (1, 30, 5, HOUR),
    (2, 10, 3, 90 * HOUR),
    (1, 10, 4, 0),
    (1, 20, 1, 2 * HOUR + 1),
    (2, 20, 2, 90 * HOUR + 60),
    (1, 40, 2, 2 * HOUR + 9),
]
SESSIONS = {"1-1": ["10", "30"], "1-2": ["20", "40"], "2-1": ["10", "20"]}
TIMES = {"1-1": 0, "1-2": 2 * HOUR + 1, "2-1": 90 * HOUR}
MOVIES = {
    10: ("Toy Story (1995)", ["Animation", "Comedy"]),
    20: ("Misérables, Les (1995)", ["Drama"]),
    30: ("Heat (1995)", []),
    40: ("M (1931)", ["Drama", "Comedy"]),
    50: ("Nobody Rated Me (1999)", ["Drama"]),
}
TEXTS = ["Toy Story (1995)\nAnimation, Comedy", "Misérables, Les (1995)\nDrama", "Heat (1995)"]
GENRES = ["unknown", "Animation", "Comedy", "Drama"]
COUNTS = {"ratings": 6, "users": 2, "movies": 5}
SIZES = ["100k", "1m"]


def rating_lines(size, ratings=RATINGS):
    return [("\t" if size == "100k" else "::").join(map(str, row)) for row in ratings]


def movie_lines(size, movies=MOVIES):
    if size == "1m":
        return [f"{number}::{title}::{'|'.join(genres)}" for number, (title, genres) in movies.items()]
    return [
        "|".join([str(number), title, "01-Jan-1995", "", "http://us.imdb.com/", *flags])
        for number, (title, genres) in movies.items()
        for flags in [[str(int(genre in genres)) for genre in GENRES]]
    ]


def write(folder, size, ratings=None, movies=None):
    """The archive of lines."""
    ratings = rating_lines(size) if ratings is None else ratings
    movies = movie_lines(size) if movies is None else movies
    if size == "1m":
        files = {"ml-1m/ratings.dat": ratings, "ml-1m/movies.dat": movies}
    else:
        genres = [*(f"{genre}|{i}" for i, genre in enumerate(GENRES)), ""]
        files = {"ml-100k/u.data": ratings, "ml-100k/u.item": movies, "ml-100k/u.genre": genres}
    (folder / "movielens").mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "movielens" / f"ml-{size}.zip", "w") as archive:
        for name, lines in files.items():
            archive.writestr(name, "".join(f"{line}\n" for line in lines).encode("latin-1"))


def config(size, **changes):
    return MOVIELENS.Config(source="movielens", size=size, **changes)


def load_error(size, **changes):
    with pytest.raises(UserError) as error:
        MOVIELENS.load(config(size, **changes))
    return str(error.value)


def sessions_of(raw):
    return dict(zip(raw.sessions["session_id"], raw.sessions["items"], strict=True))


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("ALTERREC_MIRROR", str(tmp_path))
    monkeypatch.setattr(MOVIELENS, "PUBLISHED", {size: COUNTS for size in SIZES})
    return tmp_path


@pytest.mark.parametrize("size", SIZES)
def test_a_pause_of_more_than_an_hour_ends_a_session(mirror, size):
    write(mirror, size)
    raw = MOVIELENS.load(config(size))
    assert sessions_of(raw) == SESSIONS
    assert dict(zip(raw.sessions["session_id"], raw.sessions["time"], strict=True)) == TIMES
    assert list(raw.items["text"][:3]) == TEXTS
    assert raw.official == COUNTS
    assert list(raw.checksums) == [f"ml-{size}.zip"]


def test_gap_minutes_sets_the_pause(mirror):
    write(mirror, "1m")
    assert sessions_of(MOVIELENS.load(config("1m", gap_minutes=61)))["1-1"] == ["10", "30", "20", "40"]
    shorter = sessions_of(MOVIELENS.load(config("1m", gap_minutes=59)))
    assert (shorter["1-1"], shorter["1-2"]) == (["10"], ["30"])


def test_sessions_are_split_by_the_time_of_their_start(mirror, monkeypatch):
    ratings = [(user, movie, 3, 9000 * user + movie) for user in range(1, 21) for movie in (10, 20)]
    monkeypatch.setattr(MOVIELENS, "PUBLISHED", {"1m": {"ratings": 40, "users": 20}})
    write(mirror, "1m", rating_lines("1m", ratings[::-1]))
    prepare(MOVIELENS.load(config("1m")), config("1m"), mirror / "out")
    data = Dataset.load(mirror / "out")
    assert set(data.session_id[data.sessions_of("test")]) == {"19-1", "20-1"}
    assert set(data.session_id[data.sessions_of("validation")]) == {"17-1", "18-1"}
    assert list(data.item_id) == ["10", "20"]
    assert data.card["counts"]["ratings in the second of the user's previous rating"] == 0


def test_the_order_of_ratings_of_one_second_does_not_depend_on_the_file(mirror, monkeypatch):
    movies = range(1, 201)
    ratings = [(1, movie, 3, 5) for movie in movies]
    monkeypatch.setattr(MOVIELENS, "PUBLISHED", {"1m": {}})
    orders = []
    for rows in (ratings, ratings[::-1]):
        write(mirror, "1m", rating_lines("1m", rows))
        raw = MOVIELENS.load(config("1m"))
        orders.append([int(movie) for movie in sessions_of(raw)["1-1"]])
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list(movies)
    rising = sum(one < other for one, other in zip(orders[0], orders[0][1:], strict=False))
    assert 70 < rising < 130
    assert raw.counts["ratings in the second of the user's previous rating"] == 199
    assert raw.note.startswith("100% of the ratings are in the same second")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "fields", [("1", "30", "5"), ("1", "30", "5", "now"), ("", "30", "5", "1"), "1 30 5 1"]
)
def test_a_malformed_rating_is_an_error_or_is_dropped_and_counted(mirror, monkeypatch, size, fields):
    name = MOVIELENS.RATINGS[size][0]
    lines = rating_lines(size)
    lines.insert(2, fields if isinstance(fields, str) else ("\t" if size == "100k" else "::").join(fields))
    write(mirror, size, lines)
    assert load_error(size).startswith(f"{name}, line 3: not user, movie, rating and time: ")
    assert "found 7 ratings, published 6" in load_error(size, on_error="drop")
    monkeypatch.setattr(MOVIELENS, "PUBLISHED", {size: COUNTS | {"ratings": 7}})
    raw = MOVIELENS.load(config(size, on_error="drop"))
    assert raw.counts[f"rows of {name} dropped, not four whole numbers"] == 1
    assert sessions_of(raw) == SESSIONS


@pytest.mark.parametrize(
    ("size", "line"),
    [
        ("100k", "60|Short|01-Jan-1995||http://us.imdb.com/|0|1|0"),
        ("100k", "60|Long|01-Jan-1995||http://us.imdb.com/|0|1|0|0|0"),
        ("100k", "60|Word|01-Jan-1995||http://us.imdb.com/|0|1|no|0"),
        ("100k", "sixty|Number|01-Jan-1995||http://us.imdb.com/|0|1|0|0"),
        ("100k", "60"),
        ("1m", "60::Title"),
        ("1m", "sixty::Title::Drama"),
    ],
)
def test_a_malformed_movie_is_an_error_or_is_dropped_and_counted(mirror, monkeypatch, size, line):
    name = MOVIELENS.MOVIES[size]
    lines = movie_lines(size)
    write(mirror, size, movies=[lines[0], line, *lines[1:]])
    assert load_error(size).startswith(f"{name}, line 2: not a movie's number, title and genres: ")
    monkeypatch.setattr(MOVIELENS, "PUBLISHED", {size: COUNTS | {"movies": 6}})
    raw = MOVIELENS.load(config(size, on_error="drop"))
    assert raw.counts[f"rows of {name} dropped, not a movie"] == 1
    assert len(raw.items) == 5


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", ["ratings", "users", "movies", "movies rated"])
def test_counts_that_differ_from_the_published_ones_are_an_error(mirror, monkeypatch, size, what):
    found = COUNTS | {"movies rated": 4}
    monkeypatch.setattr(MOVIELENS, "PUBLISHED", {size: found | {what: 7}})
    write(mirror, size)
    message = load_error(size)
    assert (
        f"ml-{size}.zip: found {found[what]} {what}, published 7: delete the file to download it again"
        in message
    )


def test_the_error_shows_the_published_count(tmp_path, monkeypatch):
    monkeypatch.setenv("ALTERREC_MIRROR", str(tmp_path))
    for size, ratings in (("100k", "100,000"), ("1m", "1,000,209")):
        write(tmp_path, size)
        assert f"found 6 ratings, published {ratings}" in load_error(size)


def test_a_rated_movie_that_is_not_listed_is_an_error(mirror, monkeypatch):
    movies = {number: movie for number, movie in MOVIES.items() if number != 30}
    monkeypatch.setattr(MOVIELENS, "PUBLISHED", {"1m": {}})
    write(mirror, "1m", movies=movie_lines("1m", movies))
    with pytest.raises(UserError, match="ratings.dat: 1 items are not in ml-1m/movies.dat: '30'"):
        prepare(MOVIELENS.load(config("1m")), config("1m"), mirror / "out")


TITLES = st.text(
    st.characters(codec="latin-1", exclude_categories=["C", "Z"], exclude_characters="|:"), min_size=1
)
SITTING = st.lists(st.tuples(st.integers(1, 9), st.integers(1, HOUR)), min_size=2, max_size=6)


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from(SIZES))
def test_generated_sessions_survive_a_round_trip(tmp_path_factory, data, size):
    users = data.draw(
        st.dictionaries(st.integers(1, 10**6), st.lists(SITTING, min_size=1, max_size=3), min_size=3)
    )
    ratings, sessions = [], {}
    for user, sittings in users.items():
        time = 10**9
        for number, sitting in enumerate(sittings, 1):
            time += HOUR + 1
            sessions[f"{user}-{number}"] = [str(movie) for movie, _ in sitting]
            for movie, pause in sitting:
                ratings.append((user, movie, 3, time))
                time += pause
    titles = data.draw(st.lists(TITLES, min_size=9, max_size=9))
    genres = st.lists(st.sampled_from(GENRES), unique=True).map(lambda own: sorted(own, key=GENRES.index))
    movies = {number: (title, data.draw(genres)) for number, title in enumerate(titles, 1)}
    folder = tmp_path_factory.mktemp("any")
    write(folder, size, rating_lines(size, data.draw(st.permutations(ratings))), movie_lines(size, movies))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALTERREC_MIRROR", str(folder))
        patch.setattr(MOVIELENS, "PUBLISHED", {size: {"ratings": len(ratings)}})
        raw = MOVIELENS.load(config(size))
    assert sessions_of(raw) == sessions
    prepare(raw, config(size, split="random"), folder / "out")
    read = Dataset.load(folder / "out")
    items = [list(read.item_id[read.items_of(s)]) for s in range(len(read.session_id))]
    assert dict(zip(read.session_id, items, strict=True)) == sessions
    for number, text in zip(read.item_id, read.text, strict=True):
        title, own = movies[int(number)]
        assert text == "\n".join(filter(None, [title, ", ".join(own)]))
