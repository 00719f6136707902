"""Drawn negatives: the exact rank window under ties, and the stated distributions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alterrec.negatives import draw_from, draw_hard, draw_uniform, rank_window, window_bounds
from tests.reference.literal import window

CPU = torch.device("cpu")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=12, max_size=12), min_size=1, max_size=4), st.data())
def test_window_holds_the_scores_of_the_literal_one_with_many_ties(rows, data):
    k1 = data.draw(st.integers(0, 10))
    k2 = data.draw(st.integers(k1 + 1, 12))
    items, best = rank_window(torch.tensor(rows, dtype=torch.float32), k1, k2)
    for row, found, excluded in zip(rows, items, best, strict=True):
        kept = set(found.tolist()) - set(found[excluded].tolist())
        assert len(excluded) == k1
        assert len(kept) == k2 - k1
        assert sorted(row[i] for i in kept) == sorted(row[i] for i in window(row, k1, k2))


def test_window_is_the_literal_one_without_ties():
    scores = torch.rand(20, 50, generator=torch.Generator().manual_seed(0))
    items, best = rank_window(scores, 7, 23)
    for row, found, excluded in zip(scores, items, best, strict=True):
        assert set(found.tolist()) - set(found[excluded].tolist()) == window(row.tolist(), 7, 23)


def test_subset_draws_are_uniform_over_the_window():
    torch.manual_seed(0)
    items = torch.arange(10).expand(20_000, 10)
    drawn = draw_from(items, torch.arange(6, 10).expand(20_000, 4), 3)
    assert drawn.max() < 6
    subsets = (2**drawn).sum(1)
    counts = torch.bincount(subsets)[torch.bincount(subsets) > 0]
    assert len(counts) == 20  # all of the 6 choose 3, so never an item twice
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
