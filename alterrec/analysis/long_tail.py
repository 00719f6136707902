"""How a model does on rare and on frequent targets, and how widely it recommends."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from alterrec.analysis.outcomes import METRICS, Outcomes
from alterrec.analysis.statistics import contrast
from alterrec.ranking.metrics import K

BINS = 5
COLD = 0


@dataclass(frozen=True)
class Bins:
    """Popularity bins 1 (rarest) .. B by training frequency; `low` and `high` [B]: each bin's extremes.

    Bin 0 holds the cold items, which no training session has.
    """

    low: np.ndarray
    high: np.ndarray

    def __len__(self) -> int:
        return len(self.low)

    def of(self, train_count: np.ndarray) -> np.ndarray:
        """The bin of each training frequency; one that lies between two bins belongs to the upper one."""
        inside = np.minimum(np.searchsorted(self.high, train_count), len(self) - 1) + 1
        return np.where(np.asarray(train_count) > 0, inside, COLD)

    def range(self, bin: int) -> tuple[int, int]:
        return (0, 0) if bin == COLD else (int(self.low[bin - 1]), int(self.high[bin - 1]))

    def label(self, bin: int) -> str:
        low, high = self.range(bin)
        return "cold" if bin == COLD else str(low) if low == high else f"{low}-{high}"


def equal_mass_bins(train_count: np.ndarray, bins: int = BINS) -> Bins:
    """Cut the training frequencies of the test targets [I] into at most `bins` parts of about equal mass.

    A frequency goes where the middle of its mass lies, so items of one frequency are never split and fewer
    bins may result.
    """
    frequency, mass = np.unique(train_count[train_count > 0], return_counts=True)
    if not len(frequency):
        return Bins(np.array([1]), np.array([np.iinfo(np.int32).max]))
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    part = np.floor(middle * bins).astype(int)
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    return Bins(frequency[starts], frequency[np.append(starts[1:], len(frequency)) - 1])


def long_tail_table(outcomes: Outcomes, bins: Bins) -> pd.DataFrame:
    """Hits@20 and NDCG@20 of every model in every bin with test targets, and 95 % intervals (question (ii)).

    Gains are relative (0.1 is 10 % more), over id_only and over the best fusion on validation; NaN where
    there is none or where it scores 0.
    """
    best_fusion, rows = outcomes.best(outcomes.in_family("fusion")), []
    for bin in np.unique(outcomes.bin):
        for metric in METRICS:
            sums = {
                model: outcomes.sums(model, metric=metric, bin=bin)
                for model in outcomes.models
                if model in outcomes
            }
            for model, one in sums.items():
                low, high = contrast((1, one)).method.interval()
                gains = {
                    f"gain_over_{name}": relative_gain(
                        one.mean, sums[base].mean if base in sums else float("nan")
                    )
                    for name, base in (("id_only", "id_only"), ("best_fusion", best_fusion))
                }
                row = {
                    "dataset": outcomes.name,
                    "model": model,
                    "bin": int(bin),
                    "bin_label": bins.label(bin),
                }
                row |= dict(zip(("low_count", "high_count"), bins.range(bin), strict=True))
                row |= {
                    "metric": metric,
                    "k": K,
                    "value": one.mean,
                    "low": max(low, 0.0),
                    "high": min(high, 1.0),
                }
                rows.append(row | {"instances": int(one.counts.sum())} | gains | {"best_fusion": best_fusion})
    return pd.DataFrame(rows)


def relative_gain(value: float, base: float) -> float:
    return value / base - 1 if base > 0 else float("nan")


def coverage(recommended: np.ndarray, train_count: np.ndarray) -> dict[str, float]:
    """How a run's recommendations spread over the catalogue.

    `recommended`: item numbers of all top lists together; `train_count` [N]. Returns coverage (share of the
    catalogue in some list), gini (of how often each item is recommended: 0 alike, near 1 a few items only)
    and mean_popularity.
    """
    size = len(train_count)
    times = np.sort(np.bincount(recommended, minlength=size))
    total = times.sum()
    weighted = float((2 * np.arange(1, size + 1) - size - 1) @ times)
    return {
        "coverage": float((times > 0).mean()),
        "gini": weighted / (size * total) if total else float("nan"),
        "mean_popularity": float(train_count[recommended].mean()) if total else float("nan"),
    }
