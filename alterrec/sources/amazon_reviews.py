"""Amazon reviews of 2014, one 5-core category: the products that a reviewer reviewed, in time order (J. McAuley, UCSD).

Source: https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html, files reviews_<Category>_5.json.gz (JSON lines)
and meta_<Category>.json.gz (one Python literal per line). J. McAuley, C. Targett, Q. Shi, A. van den Hengel:
Image-based Recommendations on Styles and Substitutes, SIGIR 2015; R. He, J. McAuley: Ups and Downs, WWW 2016.

A session is the sequence of all reviews of one reviewer, by unixReviewTime, which is exact to the day. Reviews of the
same time are ordered by a keyed hash of reviewer and product. The order of the file, which other work often keeps,
may follow the product ids. A model could then learn which id comes next, and no shop could use that.
"""

from __future__ import annotations

import ast
import gzip
import re
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alterrec.errors import UserError
from alterrec.files import file_checksum
from alterrec.readers.bad_rows import BadRows
from alterrec.readers.downloads import Download, fetch
from alterrec.sources._raw import DatasetConfig, Raw, joined_text, require_published_counts, tie_break_keys

if TYPE_CHECKING:
    import pandas as pd

PAGE = "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html"
FILES = "http://snap.stanford.edu/data/amazon/productGraph/categoryFiles"
PUBLISHED = {"Beauty": {"sequences": 22_363, "items": 12_101, "events": 198_502}}
ASIN = re.compile(rb"'asin': '(\w+)'")


class Config(DatasetConfig):
    """Which category to read."""

    category: str = Field(
        pattern=r"^\w+$", description="Category as it is written in the names of the files, such as Beauty"
    )
    text_columns: list[Literal["title", "brand", "description", "categories"]] = Field(
        ["title"],
        min_length=1,
        description="Fields of the metadata that are joined to an item's text, in this order",
    )


class Review(BaseModel):
    """The fields of a review that are used. Other fields are ignored."""

    model_config = ConfigDict(strict=True)

    reviewerID: str = Field(min_length=1)
    asin: str = Field(min_length=1)
    unixReviewTime: int = Field(ge=0, lt=2**63)


class Product(BaseModel):
    """The fields of a product's metadata that are used. Other fields are ignored."""

    model_config = ConfigDict(strict=True)

    asin: str
    title: str | None = None
    brand: str | None = None
    description: str | None = None
    categories: list[list[str]] = []  # each a path from the widest to the narrowest category


def fetch_files(config: Config) -> list[Path]:
    """The reviews and the metadata, downloaded if the cache lacks them."""
    return [fetch(_download(name)) for name in _names(config)]


def load(config: Config) -> Raw:
    """Read one category. UserError for a broken file, a malformed line or a count that is not the published one."""
    names, (reviews_path, meta_path) = _names(config), fetch_files(config)
    bad_reviews, bad_meta = (BadRows(name, config.on_error) for name in names)
    events = _events(reviews_path, bad_reviews)
    sessions = _sessions(events)
    asins = list(events["item"].cat.categories)
    published = PUBLISHED.get(config.category, {})
    found = {
        "sequences": len(sessions),
        "items": len(asins),
        "events": len(events) + bad_reviews.reasons.total(),
    }
    require_published_counts(reviews_path, found, published)
    products = _products(meta_path, set(asins), bad_meta)
    items = _items(asins, products, config.text_columns)
    tied = int(events.duplicated(["reviewer", "time"]).sum())
    return Raw(
        sessions=sessions,
        items=items,
        source=f"Amazon reviews 2014, 5-core, category {config.category} (J. McAuley, UCSD)",
        url=PAGE,
        citation="J. McAuley, C. Targett, Q. Shi, A. van den Hengel: Image-based Recommendations on Styles and "
        "Substitutes, SIGIR 2015; R. He, J. McAuley: Ups and Downs, WWW 2016",
        licence="none known; the publisher's page asks for the citation",
        checksums={
            name: file_checksum(path) for name, path in zip(names, (reviews_path, meta_path), strict=True)
        },
        note=f"{tied / max(1, len(events)):.0%} of the reviews have the same time as the reviewer's previous review; a "
        "hash decides their order",
        notes=[
            "A session is the sequence of all reviews of one reviewer, by unixReviewTime.",
            "Reviews of the same time are ordered by a keyed hash of reviewer and product.",
            "The time of a session, which a split by time uses, is the time of its last review.",
            f"An item's text joins the fields {', '.join(config.text_columns)} of its metadata.",
        ],
        limits=LIMITS,
        counts={
            "reviews with the time of the reviewer's previous review": tied,
            "items without metadata": len(asins) - len(products),
            "items without text": int((items["text"] == "").sum()),
            **bad_reviews.counts,
            **bad_meta.counts,
        },
        official=published,
        sessions_name=names[0],
        items_name=names[1],
    )


LIMITS = [
    "The events are reviews, not visits. A session spans all reviews of a person, often years of them, and the time of a "
    "review is not the time of the purchase.",
    "The true order of reviews of the same time (counted above) is unknown. The hash reveals nothing about the next item, "
    "so such a target can only be guessed. Work that keeps the order of the file, which may follow the product ids, can "
    "have other scores.",
    "The data are 5-core: every reviewer and product has at least five reviews, later ones included. No item is "
    "therefore truly new.",
    "Sessions overlap in time: with a split by time, the early items of a test session may be older than training "
    "sessions.",
]


def _names(config: Config) -> tuple[str, str]:
    return f"reviews_{config.category}_5.json.gz", f"meta_{config.category}.json.gz"


def _download(name: str) -> Download:
    return Download(f"amazon_reviews/{name}", f"{FILES}/{name}", by_hand=f"download {name} from {PAGE}")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with gzip.open(path) as file:
            yield from enumerate(file, 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{path} is not a complete gzip file ({error}): delete it to download it again"
        ) from error


def _events(path: Path, bad: BadRows) -> pd.DataFrame:
    """One row per review: reviewer and item (categorical, categories in the file's order) and time. Sorted by reviewer,
    time and tie-break key.
    """
    import numpy as np
    import pandas as pd

    reviewers: dict[str, int] = {}
    asins: dict[str, int] = {}
    rows = array("q")
    for number, line in _lines(path):
        try:
            review = Review.model_validate_json(line)
        except ValidationError as error:
            bad.add("not a review", f"not a review: {_first_error(error)}", number)
            continue
        reviewer = reviewers.setdefault(review.reviewerID, len(reviewers))
        rows.extend((reviewer, asins.setdefault(review.asin, len(asins)), review.unixReviewTime))
    reviewer, item, time = np.asarray(rows).reshape(-1, 3).T
    events = pd.DataFrame(
        {
            "reviewer": pd.Categorical.from_codes(reviewer, list(reviewers)),
            "item": pd.Categorical.from_codes(item, list(asins)),
            "time": time,
        }
    )
    pairs = zip(events["reviewer"], events["item"], strict=True)
    keys = tie_break_keys(f"{who} {what}" for who, what in pairs)
    return events.iloc[np.lexsort((keys, time, reviewer))]


def _first_error(error: ValidationError) -> str:
    first = error.errors()[0]
    return ": ".join([*map(str, first["loc"]), first["msg"]])


def _sessions(events: pd.DataFrame) -> pd.DataFrame:
    plain = events.assign(item=events["item"].astype(object))
    sessions = plain.groupby("reviewer", observed=True).agg(items=("item", list), time=("time", "max"))
    return sessions.rename_axis("session_id").reset_index().astype({"session_id": str})


def _products(path: Path, wanted: set[str], bad: BadRows) -> dict[str, Product]:
    """The metadata in the first line of each wanted item. Lines that show only ids of other items are not parsed."""
    wanted_bytes = {asin.encode() for asin in wanted}
    products: dict[str, Product] = {}
    for number, line in _lines(path):
        shown = ASIN.findall(line)
        if shown and wanted_bytes.isdisjoint(shown):
            continue
        try:
            product = Product.model_validate(ast.literal_eval(line.decode()))
        except ValidationError as error:
            bad.add("not a product", f"not a product: {_first_error(error)}", number)
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            bad.add("not a Python literal", f"not a Python literal: {error}", number)
        else:
            if product.asin in wanted:
                products.setdefault(product.asin, product)
    return products


def _items(asins: list[str], products: dict[str, Product], columns: list[str]) -> pd.DataFrame:
    """item_id and text. The text of an item without metadata is ""."""
    import pandas as pd

    fields = [products.get(asin, Product(asin=asin)).model_dump() for asin in asins]
    for row in fields:
        row["categories"] = "; ".join(" > ".join(path) for path in row["categories"])
    frame = pd.DataFrame(fields, columns=list(Product.model_fields))
    return pd.DataFrame({"item_id": asins, "text": joined_text(frame, columns)})
