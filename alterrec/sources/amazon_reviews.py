"""Amazon reviews of 2014, one category's 5-core: what each reviewer reviewed, in time order (J. McAuley, UCSD).

Source: https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html, files reviews_<Category>_5.json.gz (JSON lines)
and meta_<Category>.json.gz (Python literals, one a line). J. McAuley, C. Targett, Q. Shi, A. van den Hengel:
Image-based Recommendations on Styles and Substitutes, SIGIR 2015; R. He, J. McAuley: Ups and Downs, WWW 2016.

A sequence is all that one reviewer reviewed, by unixReviewTime, which tells the day. Reviews of one time are in an order
drawn from a keyed hash of reviewer and product. The file's order, which much work keeps, may follow the products'
ids: a model that learnt which id comes next would gain what no shop could use.
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
from alterrec.sources._raw import DatasetConfig, Raw, drawn_order, joined_text, require_published

if TYPE_CHECKING:
    import pandas as pd

PAGE = "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html"
FILES = "http://snap.stanford.edu/data/amazon/productGraph/categoryFiles"
PUBLISHED = {"Beauty": {"sequences": 22_363, "items": 12_101, "events": 198_502}}
ASIN = re.compile(rb"'asin': '(\w+)'")


class Config(DatasetConfig):
    """One category."""

    category: str = Field(
        pattern=r"^\w+$", description="a category as the files' names have it, such as Beauty"
    )
    text_columns: list[Literal["title", "brand", "description", "categories"]] = Field(
        ["title"], min_length=1, description="fields of the metadata that are an item's text, in this order"
    )


class Review(BaseModel):
    """What is used of a line of the reviews; the other fields are ignored."""

    model_config = ConfigDict(strict=True)

    reviewerID: str = Field(min_length=1)
    asin: str = Field(min_length=1)
    unixReviewTime: int = Field(ge=0, lt=2**63)


class Product(BaseModel):
    """What is used of a line of the metadata."""

    model_config = ConfigDict(strict=True)

    asin: str
    title: str | None = None
    brand: str | None = None
    description: str | None = None
    categories: list[list[str]] = []  # paths from the widest to the narrowest category


def load(config: Config) -> Raw:
    """Read one category. UserError where a file, a line of it or, for a category with published counts, a count is wrong."""
    names = f"reviews_{config.category}_5.json.gz", f"meta_{config.category}.json.gz"
    reviews_path, meta_path = (fetch(_download(name)) for name in names)
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
    require_published(reviews_path, found, published)
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
        note=f"{tied / max(1, len(events)):.0%} of the reviews at the time of the one before, in drawn order",
        notes=[
            "A sequence is all that one reviewer reviewed, by unixReviewTime.",
            "Reviews of one time are in an order drawn from a keyed hash of reviewer and product.",
            "Its time, by which a temporal split goes, is its last review's.",
            f"An item's text is of the metadata's {', '.join(config.text_columns)}.",
        ],
        limits=LIMITS,
        counts={
            "reviews at the time of the one before": tied,
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
    "Reviews, not visits: a sequence spans all a person's reviews, often years, and a review's time isn't the purchase's.",
    "The order of reviews of one time (counted above) is unknown. It is drawn, so it leaks nothing, and who must predict "
    "it can only guess. Work that keeps the file's order, which may follow the products' ids, can have other scores.",
    "5-core: every reviewer and product has five reviews or more, later ones included, so nothing is truly new.",
    "Sequences overlap in time: with a temporal split the early items of a test sequence may be older than training.",
]


def _download(name: str) -> Download:
    return Download(f"amazon_reviews/{name}", f"{FILES}/{name}", by_hand=f"get {name} from {PAGE}")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with gzip.open(path) as file:
            yield from enumerate(file, 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is no whole gzip file ({error}): delete it and fetch it again") from error


def _events(path: Path, bad: BadRows) -> pd.DataFrame:
    """One row per review, by reviewer, time and draw: reviewer and item (categorical, in the file's order) and time."""
    import numpy as np
    import pandas as pd

    reviewers: dict[str, int] = {}
    asins: dict[str, int] = {}
    rows = array("q")
    for number, line in _lines(path):
        try:
            review = Review.model_validate_json(line)
        except ValidationError as error:
            bad.add("not a review", f"not a review: {_why(error)}", number)
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
    drawn = drawn_order(f"{who} {what}" for who, what in pairs)
    return events.iloc[np.lexsort((drawn, time, reviewer))]


def _why(error: ValidationError) -> str:
    first = error.errors()[0]
    return ": ".join([*map(str, first["loc"]), first["msg"]])


def _sessions(events: pd.DataFrame) -> pd.DataFrame:
    plain = events.assign(item=events["item"].astype(object))
    sessions = plain.groupby("reviewer", observed=True).agg(items=("item", list), time=("time", "max"))
    return sessions.rename_axis("session_id").reset_index().astype({"session_id": str})


def _products(path: Path, wanted: set[str], bad: BadRows) -> dict[str, Product]:
    """The metadata of the wanted items, an item's first line. Lines that show other items' ids are not parsed."""
    named = {asin.encode() for asin in wanted}
    products: dict[str, Product] = {}
    for number, line in _lines(path):
        shown = ASIN.findall(line)
        if shown and named.isdisjoint(shown):
            continue
        try:
            product = Product.model_validate(ast.literal_eval(line.decode()))
        except ValidationError as error:
            bad.add("not a product", f"not a product: {_why(error)}", number)
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            bad.add("no Python literal", f"no Python literal: {error}", number)
        else:
            if product.asin in wanted:
                products.setdefault(product.asin, product)
    return products


def _items(asins: list[str], products: dict[str, Product], columns: list[str]) -> pd.DataFrame:
    """item_id and text, "" without metadata."""
    import pandas as pd

    fields = [products.get(asin, Product(asin=asin)).model_dump() for asin in asins]
    for row in fields:
        row["categories"] = "; ".join(" > ".join(path) for path in row["categories"])
    frame = pd.DataFrame(fields, columns=list(Product.model_fields))
    return pd.DataFrame({"item_id": asins, "text": joined_text(frame, columns)})
