"""Amazon reviews: files in the raw format (JSON lines, Python literals) become sessions; malformed ones are errors."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alterrec import registry
from alterrec.data.dataset import Dataset
from alterrec.data.prepare import prepare
from alterrec.errors import UserError
from alterrec.study.check import checked

AMAZON = registry.source("amazon_reviews")
EVENTS = [  # reviewer, asin, time; sorted by asin as in the real files
    ("R1", "B1", 30),
    ("R2", "B1", 10),
    ("R3", "B1", 70),
    ("R1", "B2", 10),
    ("R2", "B2", 10),
    ("R3", "B3", 60),
    ("R1", "B3", 20),
    ("R2", "B3", 5),
]
SEQUENCES = {
    "R1": ["B2", "B3", "B1"],
    "R2": ["B3", "B2", "B1"],
    "R3": ["B3", "B1"],
}  # B2 before B1, as the hash orders them
PRODUCTS = [
    {
        "asin": "B1",
        "title": 'Bob\'s "Best"\n  Soap',
        "brand": "Bob",
        "categories": [["Beauty", "Bath"], ["Gifts"]],
    },
    {"asin": "B9", "title": "Nobody's"},
    {
        "description": "see 'asin': 'B9' in the shop",
        "asin": "B2",
        "price": 3.5,
        "related": {"bought": ["B1"]},
    },
]


def review_line(reviewer, asin, time):
    fields = {"reviewerID": reviewer, "asin": asin, "helpful": [0, 1], "reviewText": "Fine é", "overall": 5.0}
    return json.dumps(fields | {"unixReviewTime": time, "reviewTime": "01 1, 1970"})


def write(folder, reviews, products, category="Toys"):
    """Both files from lines; a value that is not a str is written as in the real files."""
    reviews = [line if isinstance(line, str) else review_line(*line) for line in reviews]
    products = [line if isinstance(line, str) else repr(line) for line in products]
    for name, lines in ((f"reviews_{category}_5", reviews), (f"meta_{category}", products)):
        path = folder / "amazon_reviews" / f"{name}.json.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))


def config(**changes):
    return AMAZON.Config(**{"source": "amazon_reviews", "category": "Toys"} | changes)


def load_error(**changes):
    with pytest.raises(UserError) as error:
        AMAZON.load(config(**changes))
    return str(error.value)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("ALTERREC_MIRROR", str(tmp_path))
    return tmp_path


def items_of(data):
    return {name: list(data.item_id[data.items_of(s)]) for s, name in enumerate(data.session_id)}


def test_a_session_is_the_items_of_a_reviewer_in_time_order(mirror):
    write(mirror, EVENTS, PRODUCTS)
    raw = AMAZON.load(config())
    assert dict(zip(raw.sessions["session_id"], raw.sessions["items"], strict=True)) == SEQUENCES
    assert dict(zip(raw.sessions["session_id"], raw.sessions["time"], strict=True)) == {
        "R1": 30,
        "R2": 10,
        "R3": 70,
    }


def test_sessions_are_split_by_the_time_of_their_last_review(mirror):
    events = [(f"R{r}", f"B{r % 3 + i}", 100 * i + r) for r in range(20) for i in range(3)]
    write(mirror, events, PRODUCTS)
    prepare(AMAZON.load(config()), config(), mirror / "out")
    data = Dataset.load(mirror / "out")
    assert set(data.session_id[data.sessions_of("test")]) == {"R18", "R19"}
    assert set(data.session_id[data.sessions_of("validation")]) == {"R16", "R17"}
    assert items_of(data)["R4"] == ["B1", "B2", "B3"]


def test_the_order_of_reviews_of_one_time_does_not_depend_on_the_file(mirror):
    asins = [f"B{number}" for number in range(100, 300)]
    orders = []
    for rows in (asins, asins, asins[::-1]):
        write(mirror, [("R1", asin, 5) for asin in rows] + [("R2", asin, 5) for asin in rows], [])
        orders.append([list(items) for items in AMAZON.load(config()).sessions["items"]])
    assert orders[0] == orders[1] == orders[2]
    for items in orders[0]:
        assert sorted(items) == asins
        rising = sum(one < other for one, other in zip(items, items[1:], strict=False))
        assert 70 < rising < 130
    assert orders[0][0] != orders[0][1]


def test_ties_and_missing_metadata_are_counted(mirror):
    write(mirror, EVENTS, PRODUCTS)
    raw = AMAZON.load(config())
    assert raw.counts["reviews with the time of the reviewer's previous review"] == 1
    assert raw.note == (
        "12% of the reviews have the same time as the reviewer's previous review; a hash decides their order"
    )
    assert raw.counts["items without metadata"] == 1
    assert raw.counts["items without text"] == 2
    assert dict(zip(raw.items["item_id"], raw.items["text"], strict=True)) == {
        "B1": 'Bob\'s "Best" Soap',
        "B2": "",
        "B3": "",
    }


def test_text_columns_are_joined_in_the_order_of_the_setting(mirror):
    write(mirror, EVENTS, PRODUCTS)
    raw = AMAZON.load(config(text_columns=["categories", "brand", "description"]))
    assert list(raw.items["text"]) == ["Beauty > Bath; Gifts\nBob", "see 'asin': 'B9' in the shop", ""]


def test_the_first_of_two_lines_of_a_product_is_used(mirror):
    write(mirror, EVENTS, [*PRODUCTS, {"asin": "B1", "title": "Second"}])
    assert AMAZON.load(config()).items["text"][0] == 'Bob\'s "Best" Soap'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{'reviewerID': 'R1'}", "not a review: Invalid JSON"),
        ('["R1", "B1", 3]', "not a review: Input should be an object"),
        ('{"asin": "B1", "unixReviewTime": 3}', "reviewerID: Field required"),
        (review_line("R1", "", 3), "asin: String should have at least 1 character"),
        (review_line("R1", "B1", "3"), "unixReviewTime: Input should be a valid integer"),
        (review_line("R1", "B1", 2**63), "unixReviewTime: Input should be less than"),
        (review_line("R1", "B1", -1), "unixReviewTime: Input should be greater than"),
    ],
)
def test_a_malformed_review_is_an_error_or_is_dropped_and_counted(mirror, line, reason):
    write(mirror, [*EVENTS[:2], line, *EVENTS[2:]], PRODUCTS)
    message = load_error()
    assert message.startswith("reviews_Toys_5.json.gz, line 3: ")
    assert reason in message
    raw = AMAZON.load(config(on_error="drop"))
    assert raw.counts["rows of reviews_Toys_5.json.gz dropped, not a review"] == 1
    assert list(raw.sessions["items"]) == list(SEQUENCES.values())


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        ("{'asin': 'B1', 'title': ", "not a Python literal", "not a Python literal: "),
        ("{'asin': 'B1', 'title': str(1)}", "not a Python literal", "malformed node"),
        ("{'asin': 'B1', 'title': 7}", "not a product", "title: Input should be a valid string"),
        ("{'asin': 'B1', 'categories': ['Bath']}", "not a product", "categories: 0: "),
        ("{'title': 'no id'}", "not a product", "asin: Field required"),
        ("plain words", "not a Python literal", "invalid syntax"),
    ],
)
def test_malformed_metadata_are_an_error_or_are_dropped_and_counted(mirror, line, kind, reason):
    write(mirror, EVENTS, [PRODUCTS[1], line, PRODUCTS[2]])
    message = load_error()
    assert message.startswith(f"meta_Toys.json.gz, line 2: {kind}: ")
    assert reason in message
    raw = AMAZON.load(config(on_error="drop"))
    assert raw.counts[f"rows of meta_Toys.json.gz dropped, {kind}"] == 1
    assert raw.counts["items without metadata"] == 2


def test_metadata_of_other_products_is_not_parsed(mirror):
    write(mirror, EVENTS, ["{'asin': 'B9', 'title': broken", *PRODUCTS])
    assert AMAZON.load(config()).counts["items without metadata"] == 1


def test_metadata_are_never_executed(mirror):
    write(mirror, EVENTS, [f"open({str(mirror / 'ran')!r}, 'w') or {{'asin': 'B1'}}"])
    assert "line 1: not a Python literal" in load_error()
    assert not (mirror / "ran").exists()


def test_beauty_must_have_the_published_counts(mirror, monkeypatch):
    write(mirror, EVENTS, PRODUCTS, "Beauty")
    message = load_error(category="Beauty")
    assert message.startswith(f"{mirror / 'amazon_reviews' / 'reviews_Beauty_5.json.gz'}: ")
    assert "found 3 sequences, published 22,363; found 3 items, published 12,101; " in message
    assert "found 8 events, published 198,502: delete the file to download it again" in message
    counts = {"sequences": 3, "items": 3, "events": 8}
    monkeypatch.setattr(AMAZON, "PUBLISHED", {"Beauty": counts})
    assert AMAZON.load(config(category="Beauty")).official == counts
    assert AMAZON.load(config(category="Beauty")).checksums.keys() == {
        "reviews_Beauty_5.json.gz",
        "meta_Beauty.json.gz",
    }


def test_a_dropped_line_counts_towards_the_published_count(mirror, monkeypatch):
    monkeypatch.setattr(AMAZON, "PUBLISHED", {"Toys": {"sequences": 3, "items": 3, "events": 8}})
    write(mirror, [*EVENTS[:7], "broken"], PRODUCTS)
    assert len(AMAZON.load(config(on_error="drop")).sessions) == 3
    write(mirror, EVENTS[:7], PRODUCTS)
    assert "5.json.gz: found 7 events, published 8: delete" in load_error(on_error="drop")


@pytest.mark.parametrize("damage", [lambda data: b"no gzip", lambda data: data[:-9], lambda data: data[:30]])
def test_a_damaged_file_is_an_error_that_names_it(mirror, damage):
    write(mirror, EVENTS, PRODUCTS)
    path = mirror / "amazon_reviews" / "meta_Toys.json.gz"
    path.write_bytes(damage(path.read_bytes()))
    assert f"{path} is not a complete gzip file" in load_error()


@pytest.mark.parametrize(
    "wrong", [{"category": "../Toys"}, {"text_columns": []}, {"text_columns": ["titel"]}]
)
def test_invalid_settings_are_an_error(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        checked(AMAZON.Config, {"source": "amazon_reviews", "category": "Toys"} | wrong, "here")


IDS = st.text("ABC0129", min_size=1, max_size=10)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_sequences_come_back_the_same(tmp_path_factory, data):
    titles = data.draw(st.dictionaries(IDS, st.text(max_size=12), min_size=2, max_size=6))
    sequence = st.lists(st.sampled_from(sorted(titles)), min_size=2, max_size=8)
    sequences = data.draw(st.dictionaries(IDS, sequence, min_size=3, max_size=8))
    events = [(who, asin, 7 * i) for who, asins in sequences.items() for i, asin in enumerate(asins)]
    products = [{"asin": asin, "title": title} for asin, title in titles.items()]
    folder = tmp_path_factory.mktemp("any")
    write(folder, data.draw(st.permutations(events)), products)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALTERREC_MIRROR", str(folder))
        prepare(AMAZON.load(config()), config(split="random"), folder / "out")
    read = Dataset.load(folder / "out")
    assert items_of(read) == sequences
    texts = dict(zip(read.item_id, read.text, strict=True))
    assert texts == {asin: " ".join(titles[asin].split()) for asin in texts}
