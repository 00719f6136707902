"""The metrics equal the mean over a literal enumeration of all orders of tied items."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alterrec.ranking.metrics import CUTOFFS, METRICS, all_metrics, expected, expected_hits, expected_ndcg


def literal(scores: np.ndarray, target: int, k: int) -> tuple[float, float, float]:
    """Mean Hits, NDCG and MRR at k over all orders of the catalogue in which the scores descend."""
    values = []
    for order in permutations(range(len(scores))):
        ranked = list(order)
        if all(scores[x] >= scores[y] for x, y in zip(ranked, ranked[1:], strict=False)):
            rank = ranked.index(target) + 1
            values.append((1, 1 / np.log2(rank + 1), 1 / rank) if rank <= k else (0, 0, 0))
    return tuple(np.mean(values, axis=0))


@pytest.mark.parametrize("k", [1, 2, 3, 6, 9])
@pytest.mark.parametrize(
    "scores", [[2, 2, 2, 1, 0, 0], [0, 0, 0, 0, 0, 0], [5, 4, 3, 2, 1, 0], [1, 3, 3, 3, 3, 2]]
)
def test_metrics_are_means_over_all_orders_of_ties(scores, k):
    scores = np.array(scores)
    for target in range(len(scores)):
        above, ties = (scores > scores[target]).sum(), (scores == scores[target]).sum() - 1
        computed = [expected(metric, k, above, ties) for metric in ("Hits", "NDCG", "MRR")]
        assert np.allclose(computed, literal(scores, target, k), rtol=0, atol=1e-14)
        assert computed[:2] == [function(above, ties, k) for function in (expected_hits, expected_ndcg)]


@given(st.integers(1, 100_000), st.sampled_from(CUTOFFS))
def test_equal_scores_hit_with_probability_k_over_n(size, k):
    assert expected_hits(0, size - 1, k) == min(k, size) / size


@given(st.integers(0, 200), st.integers(0, 200), st.sampled_from(METRICS))
def test_a_tied_target_gets_the_mean_over_its_possible_ranks(above, ties, metric):
    alone = expected(*metric, np.arange(above, above + ties + 1), 0)
    assert expected(*metric, above, ties) == pytest.approx(alone.mean(), abs=1e-12)


@given(st.integers(0, 300), st.integers(0, 300))
def test_metrics_are_ordered_and_bounded(above, ties):
    values = dict(zip(METRICS, all_metrics(np.array([above]), np.array([ties]))[0], strict=True))
    for k in CUTOFFS:
        assert 0 <= values["MRR", k] <= values["NDCG", k] + 1e-12 <= values["Hits", k] + 2e-12 <= 1 + 3e-12
    for metric in ("Hits", "NDCG", "MRR"):
        assert list(values[metric, k] for k in CUTOFFS) == sorted(values[metric, k] for k in CUTOFFS)
    assert values["Hits", 1] == values["NDCG", 1] == values["MRR", 1]


def test_int32_counts_do_not_overflow():
    huge = np.array([2**31 - 1], np.int32)
    assert expected_hits(huge, huge, 50)[0] == 0
    assert expected_hits(np.int32([0]), huge, 50)[0] == 50 / 2**31
