"""Hits@K, NDCG@K and MRR@K of one relevant item, as means over all orders of tied items.

If a items score strictly above the target and t items have its score (the target included), the target's rank is
uniform on a+1 .. a+t. The expected metric is the mean of its gain over these ranks. It is computed from a difference
of two cumulative gains, without drawing random numbers.
"""

from functools import cache

import numpy as np

K = 20
"""The cut-off of every metric that is tested, plotted or used to choose a model: Hits@20 and NDCG@20."""
CUTOFFS = (1, 5, 10, 20, 50)
GAINS = {
    "Hits": np.ones_like,
    "NDCG": lambda rank: 1 / np.log2(rank + 1),
    "MRR": lambda rank: 1 / rank,
}
METRICS = tuple((metric, k) for metric in GAINS for k in CUTOFFS)


@cache
def cumulative_gain(metric: str, k: int) -> np.ndarray:
    """[k + 1] sums of the gains of ranks 1..r, for r = 0..k; a rank beyond k has no gain."""
    gains = GAINS[metric](np.arange(1, k + 1, dtype=float))
    return np.concatenate([[0.0], np.cumsum(gains)])


def expected(metric: str, k: int, above: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """[I] expected metric@k of each instance, in [0, 1].

    `metric` is a key of GAINS. `above` [I]: items that score strictly above the target. `ties` [I]: other items with
    the target's score, the target not included.
    """
    above, tied = np.asarray(above, np.int64), np.asarray(ties, np.int64) + 1
    gain = cumulative_gain(metric, k)
    return (gain[np.minimum(above + tied, k)] - gain[np.minimum(above, k)]) / tied


def expected_hits(above: np.ndarray, ties: np.ndarray, k: int) -> np.ndarray:
    """[I] probability that the target is among the k best items; exactly k / N if all N items have one score."""
    return expected("Hits", k, above, ties)


def expected_ndcg(above: np.ndarray, ties: np.ndarray, k: int) -> np.ndarray:
    """[I] expected 1 / log2(rank + 1) within the k best items; with one relevant item the ideal gain is 1."""
    return expected("NDCG", k, above, ties)


def all_metrics(above: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """[I, len(METRICS)] every metric at every cut-off; the columns are in the order of METRICS."""
    return np.stack([expected(metric, k, above, ties) for metric, k in METRICS], axis=1)
