"""Hits@K, NDCG@K and MRR@K of one relevant item, as expectations under uniform tie-breaking.

With a items strictly above the target and t items on its score (itself included), the target's rank is
uniform on a+1 .. a+t. Each metric is then the mean of its gain over these ranks, a difference of two
cumulative gains; nothing is drawn.
"""

from functools import cache

import numpy as np

K = 20
"""The cut-off of everything that is tested, selected and plotted: Hits@20 and NDCG@20."""
CUTOFFS = (1, 5, 10, 20, 50)
GAINS = {
    "Hits": np.ones_like,
    "NDCG": lambda rank: 1 / np.log2(rank + 1),
    "MRR": lambda rank: 1 / rank,
}
METRICS = tuple((metric, k) for metric in GAINS for k in CUTOFFS)


@cache
def cumulative_gain(metric: str, k: int) -> np.ndarray:
    """[k + 1] sum of the gains of ranks 1..r, for r = 0..k; ranks beyond k gain nothing."""
    gains = GAINS[metric](np.arange(1, k + 1, dtype=float))
    return np.concatenate([[0.0], np.cumsum(gains)])


def expected(metric: str, k: int, above: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Expected metric@k of each instance, in [0, 1].

    `above` [I]: items that score strictly above the target; `ties` [I]: OTHER items with the target's score.
    `metric` is a key of GAINS.
    """
    above, tied = np.asarray(above, np.int64), np.asarray(ties, np.int64) + 1
    gain = cumulative_gain(metric, k)
    return (gain[np.minimum(above + tied, k)] - gain[np.minimum(above, k)]) / tied


def expected_hits(above: np.ndarray, ties: np.ndarray, k: int) -> np.ndarray:
    """[I] probability that the target is among the k best; of a constant scorer on N items exactly k / N."""
    return expected("Hits", k, above, ties)


def expected_ndcg(above: np.ndarray, ties: np.ndarray, k: int) -> np.ndarray:
    """[I] expected 1 / log2(rank + 1) within the k best (one relevant item: the ideal gain is 1)."""
    return expected("NDCG", k, above, ties)


def expected_mrr(above: np.ndarray, ties: np.ndarray, k: int) -> np.ndarray:
    """[I] expected reciprocal rank within the k best."""
    return expected("MRR", k, above, ties)


def all_metrics(above: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """[I, len(METRICS)] every metric at every cut-off, columns in the order of METRICS."""
    return np.stack([expected(metric, k, above, ties) for metric, k in METRICS], axis=1)
