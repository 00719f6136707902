"""How well a model ranks rare and frequent targets, and how much of the catalogue it recommends."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from alterrec.inference.outcomes import METRICS, Outcomes
from alterrec.inference.statistics import SessionSums, compare, contrast
from alterrec.ranking.metrics import K

BINS = 5
COLD = 0  # bin of the items that no training session holds


@dataclass(frozen=True)
class Bins:
    """Popularity bins by training frequency, 1 (rarest) to B (most frequent); bin 0 holds the cold items.

    `low` and `high` [B] are the smallest and the largest frequency of each bin.
    """

    low: np.ndarray
    high: np.ndarray

    def __len__(self) -> int:
        return len(self.low)

    def of(self, train_count: np.ndarray) -> np.ndarray:
        """The bin of each training frequency. A frequency between two bins belongs to the more frequent one."""
        warm_bin = np.minimum(np.searchsorted(self.high, train_count), len(self) - 1) + 1
        return np.where(np.asarray(train_count) > 0, warm_bin, COLD)

    def range(self, bin: int) -> tuple[int, int]:
        return (0, 0) if bin == COLD else (int(self.low[bin - 1]), int(self.high[bin - 1]))

    def label(self, bin: int) -> str:
        low, high = self.range(bin)
        return "cold" if bin == COLD else str(low) if low == high else f"{low}-{high}"


def equal_mass_bins(train_count: np.ndarray, bins: int = BINS) -> Bins:
    """Divide the training frequencies of the test targets [I] into at most `bins` bins with about equally many targets.

    A frequency belongs to the bin that holds the middle of its targets. Items of one frequency are therefore never
    split, and there may be fewer bins.
    """
    frequency, mass = np.unique(train_count[train_count > 0], return_counts=True)
    if not len(frequency):
        return Bins(np.array([1]), np.array([np.iinfo(np.int32).max]))
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    bin_of_frequency = np.floor(middle * bins).astype(int)
    starts = np.flatnonzero(np.diff(bin_of_frequency, prepend=-1))
    return Bins(frequency[starts], frequency[np.append(starts[1:], len(frequency)) - 1])


def long_tail_table(outcomes: Outcomes, bins: Bins) -> pd.DataFrame:
    """Hits@20 and NDCG@20 of every model in every bin that has test targets, with 95 % intervals of question (ii).

    `difference` is the value minus id_only's, with its 95 % interval of question (ii). Gains are relative (0.1 is 10 %
    more), over id_only and over the naive fusion that is best on validation. A difference is NaN if id_only did not run, a
    gain also if that model scores 0.
    """
    best_fusion = outcomes.best_on_validation(outcomes.naive_fusions())
    models = [model for model in outcomes.models if model in outcomes]
    rows = []
    for bin in np.unique(outcomes.bin):
        low_count, high_count = bins.range(bin)
        about_bin = {"bin": int(bin), "bin_label": bins.label(bin)}
        about_bin |= {"low_count": low_count, "high_count": high_count}
        for metric in METRICS:
            sums = {model: outcomes.sums(model, metric=metric, bin=bin) for model in models}
            means = {model: sums[model].mean for model in models}
            for model in models:
                low, high = contrast((1, sums[model])).method.interval()
                row = {"dataset": outcomes.name, "model": model} | about_bin
                row |= {"metric": metric, "k": K, "value": means[model]}
                row |= {"low": max(low, 0.0), "high": min(high, 1.0)}
                row["instances"] = int(sums[model].counts.sum())
                row |= difference_from(sums[model], sums.get("id_only"))
                row["gain_over_id_only"] = relative_gain(means[model], means.get("id_only"))
                row["gain_over_best_fusion"] = relative_gain(means[model], means.get(best_fusion))
                rows.append(row | {"best_fusion": best_fusion})
    return pd.DataFrame(rows)


def difference_from(model: SessionSums, base: SessionSums | None) -> dict[str, float]:
    """The columns of a model's difference from `base`; empty if there is no base."""
    if base is None:
        return {}
    difference = compare(model, base).method
    low, high = difference.interval()
    return {"difference": difference.value, "difference_low": low, "difference_high": high}


def relative_gain(value: float, base: float | None) -> float:
    return value / base - 1 if base is not None and base > 0 else float("nan")


def coverage(recommended: np.ndarray, train_count: np.ndarray) -> dict[str, float]:
    """How the recommendations of a run are spread over the catalogue.

    `recommended` holds the item numbers of all top lists of the run, `train_count` [N] the training frequencies.
    Returns coverage (the share of the catalogue that is in some list), gini (the inequality of how often items are
    recommended: 0 if all equally often, near 1 if only a few items) and mean_popularity (the mean training frequency
    of a recommended item).
    """
    size = len(train_count)
    counts = np.sort(np.bincount(recommended, minlength=size))
    total = counts.sum()
    weighted = float((2 * np.arange(1, size + 1) - size - 1) @ counts)
    return {
        "coverage": float((counts > 0).mean()),
        "gini": weighted / (size * total) if total else float("nan"),
        "mean_popularity": float(train_count[recommended].mean()) if total else float("nan"),
    }
