"""Drawn negatives: the exact rank window under ties, and the stated distributions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alterrec.negatives import draw_from, draw_hard, draw_uniform, first_ranks, rank_window, window_bounds
from tests.reference.literal import window

CPU = torch.device("cpu")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=12, max_size=12), min_size=1, max_size=4), st.data())
def test_window_equals_the_literal_one_with_many_ties(rows, data):
    k1 = data.draw(st.integers(0, 10))
    k2 = data.draw(st.integers(k1 + 1, 12))
    scores = torch.tensor(rows, dtype=torch.float32)
    found = [set(row.nonzero().flatten().tolist()) for row in rank_window(scores, k1, k2)]
    assert found == [window(row, k1, k2) for row in rows]


def test_window_has_exactly_its_size_for_constant_scores():
    assert rank_window(torch.zeros(3, 50), 5, 20).sum(1).tolist() == [15] * 3
    assert first_ranks(torch.zeros(2, 4), 4).all()


def test_subset_draws_are_uniform_over_the_window():
    chosen = torch.tensor([True] * 6 + [False] * 4).expand(20_000, 10)
    torch.manual_seed(0)
    drawn = draw_from(chosen, 3)
    assert (drawn.sum(1) == 3).all() and not drawn[:, 6:].any()
    subsets = (drawn[:, :6] * 2 ** torch.arange(6)).sum(1)
    counts = torch.bincount(subsets)[torch.bincount(subsets) > 0]
    assert len(counts) == 20  # all of the 6 choose 3
    assert stats.chisquare(counts.numpy()).pvalue > 0.001


def test_uniform_draws_are_multinomial():
    torch.manual_seed(0)
    counts = draw_uniform(4000, 8, 5, CPU)
    assert (counts.sum(1) == 5).all()
    assert stats.chisquare(counts.sum(0).numpy()).pvalue > 0.001
    singles = torch.bincount(counts[:, 0].long(), minlength=6)[:4]
    expected = stats.binom.pmf(range(6), 5, 1 / 8)
    expected = [*expected[:3], expected[3:].sum()]
    observed = [*singles[:3].tolist(), 4000 - int(singles[:3].sum())]
    assert stats.chisquare(observed, [4000 * share for share in expected]).pvalue > 0.001


def test_hard_negatives_are_half_window_half_uniform():
    torch.manual_seed(0)
    scores = -torch.arange(40.0).expand(5000, 40)
    counts = draw_hard(scores, 4, 20)
    assert (counts.sum(1) == 16).all()
    expected = torch.full((40,), 8 / 40)
    expected[4:20] += 8 / 16
    deviation = (counts.mean(0) - expected).abs() / (expected / 5000).sqrt()
    assert deviation.max() < 4.5


def test_window_bounds():
    assert window_bounds(20, 20000, 1000) == (20, 500)
    assert window_bounds(20, 300, 1000) == (20, 300)
    with pytest.raises(ValueError, match="lower k1"):
        window_bounds(20, 20000, 40)
