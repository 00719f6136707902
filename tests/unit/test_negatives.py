"""Drawn negatives: the rank window is exact, with ties too, and draws have the stated distributions."""

import os
import sys
from importlib.util import find_spec

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alterrec.errors import UserError
from alterrec.method.negatives import (
    built_kernel,
    draw_from,
    draw_hard,
    draw_uniform,
    rank_window,
    window_bounds,
)
from tests.planted import CPU
from tests.reference.literal import window

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if (
    DEVICE == CPU
):  # Triton reads this at its first import, and then interprets kernels instead of compiling them
    os.environ["TRITON_INTERPRET"] = "1"

needs_gpu = pytest.mark.skipif(DEVICE == CPU, reason="needs a GPU")
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=12, max_size=12), min_size=1, max_size=4), st.data())
def test_rank_window_equals_the_literal_one_with_ties(rows, data):
    k1 = data.draw(st.integers(0, 10))
    k2 = data.draw(st.integers(k1 + 1, 12))
    items, best = rank_window(torch.tensor(rows, dtype=torch.float32), k1, k2)
    for row, found, excluded in zip(rows, items, best, strict=True):
        kept = set(found.tolist()) - set(found[excluded].tolist())
        assert len(excluded) == k1
        assert len(kept) == k2 - k1
        assert sorted(row[i] for i in kept) == sorted(row[i] for i in window(row, k1, k2))


def test_rank_window_equals_the_literal_one_without_ties():
    scores = torch.rand(20, 50, generator=torch.Generator().manual_seed(0))
    items, best = rank_window(scores, 7, 23)
    for row, found, excluded in zip(scores, items, best, strict=True):
        assert set(found.tolist()) - set(found[excluded].tolist()) == window(row.tolist(), 7, 23)


def test_every_subset_of_the_window_is_equally_likely():
    torch.manual_seed(0)
    items = torch.arange(10).expand(20_000, 10)
    drawn = draw_from(items, torch.arange(6, 10).expand(20_000, 4), 3)
    assert drawn.max() < 6
    subsets = (2**drawn).sum(1)
    counts = torch.bincount(subsets)[torch.bincount(subsets) > 0]
    assert len(counts) == 20  # 6 choose 3: all subsets occur, and no item is drawn twice
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


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
def test_hard_negatives_are_half_from_the_window_and_half_uniform(device):
    torch.manual_seed(0)
    scores = -torch.arange(40.0).expand(5000, 40)
    counts = draw_hard(scores.to(device), 4, 20).cpu()
    assert (counts.sum(1) == 16).all()
    expected = torch.full((40,), 8 / 40)
    expected[4:20] += 8 / 16
    deviation = (counts.mean(0) - expected).abs() / (expected / 5000).sqrt()
    assert deviation.max() < 4.5


def kernel_draws(scores: torch.Tensor, k1: int, k2: int, draws: int) -> torch.Tensor:
    """[I, N] whether the kernel drew each item."""
    from alterrec.kernels.rank_window import add_from_window

    # starts from ones, because the kernel must add to the counts that it is given
    counts = add_from_window(torch.ones(scores.shape, device=DEVICE), scores.to(DEVICE), k1, k2, draws).cpu()
    assert ((counts == 1) | (counts == 2)).all()
    return counts == 2


def tied_rows(items: int) -> torch.Tensor:
    """[8, N] scores with ties: none, few values, one value, negatives, signed zeros, infinities, two values."""
    rows = torch.randn(8, items, generator=torch.Generator().manual_seed(0))
    rows[1] = rows[1].round()
    rows[2] = -3.25
    rows[3] = -rows[3].abs().round()
    rows[4] = torch.where(rows[4] > 0, 0.0, -0.0)
    rows[5] = torch.where(rows[5] > 0, -torch.inf, rows[5])
    rows[6] = torch.where(rows[6] > 0, torch.inf, -torch.inf)
    rows[7] = (rows[7] > 1).float()
    return rows


@needs_triton
@pytest.mark.parametrize(
    "items, k1, k2", [(40, 4, 20), (1024, 0, 1024), (1500, 20, 750), (9, 3, 9), (7, 0, 1), (7, 1, 2)]
)
def test_kernel_draws_from_the_literal_window_with_ties(items, k1, k2):
    scores, half = tied_rows(items), (k2 - k1) // 2
    whole, drawn = kernel_draws(scores, k1, k2, k2 - k1), kernel_draws(scores, k1, k2, half)
    assert (whole.sum(1) == k2 - k1).all() and (drawn.sum(1) == half).all()
    assert not (drawn & ~whole).any()
    for row, found in zip(scores, whole, strict=True):
        ranked = [row[item].item() for item in window(row.tolist(), k1, k2)]
        assert sorted(row[found].tolist()) == sorted(ranked)
    assert set(whole[0].nonzero().flatten().tolist()) == window(scores[0].tolist(), k1, k2)


@needs_triton
def test_kernel_ranks_nan_first_as_topk_does():
    scores = torch.tensor([[1.0, torch.nan, torch.inf, 0.0, -torch.inf]])
    assert kernel_draws(scores, 0, 1, 1).tolist() == [[False, True, False, False, False]]
    assert kernel_draws(scores, 2, 4, 2).tolist() == [[True, False, False, True, False]]


@needs_triton
def test_kernel_draws_every_subset_of_the_window_equally_often():
    torch.manual_seed(0)
    rows = 200 if DEVICE == CPU else 20_000
    drawn = kernel_draws(-torch.arange(10.0).expand(rows, 10), 2, 8, 3)
    subsets = (drawn * 2 ** torch.arange(10)).sum(1).unique(return_counts=True)[1]
    assert len(subsets) == 20  # 6 choose 3: all subsets occur
    assert stats.chisquare(subsets.numpy()).pvalue > 0.001


@needs_triton
def test_kernel_draws_every_item_of_a_long_window_equally_often():
    torch.manual_seed(0)
    rows = 60 if DEVICE == CPU else 5000
    drawn = kernel_draws(-torch.arange(1100.0).expand(rows, 1100), 50, 850, 400)[:, 50:850]
    assert (drawn.sum(1) == 400).all()
    # without replacement, counts have variance rows / 4, and covariances that sum to minus that
    deviation = (drawn.sum(0) - rows / 2).double() ** 2 / (rows / 4)
    assert 0.001 < stats.chi2.sf(float(deviation.sum()) * 799 / 800, 799) < 0.999


@needs_gpu
@needs_triton
def test_replays_of_a_captured_draw_differ_and_follow_the_seed():
    from alterrec.kernels.rank_window import add_from_window

    scores = torch.randn(64, 12_101, device="cuda")
    whole = kernel_draws(scores, 20, 6050, 6030)  # this call also compiles the kernel
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        counts = add_from_window(torch.zeros_like(scores), scores, 20, 6050, 3015)

    def replays():
        torch.cuda.manual_seed(7)
        for _ in range(3):
            graph.replay()
            yield counts.cpu()

    first, again = list(replays()), list(replays())
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one, other)
        assert (one.sum(1) == 3015).all() and not (one.bool() & ~whole).any()
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[1], first[2])


@needs_gpu
@needs_triton
@pytest.mark.parametrize("items", [1008, 12_101, 12_112, 2**14, 20_000, 2**15])
def test_every_row_has_its_number_of_draws_for_all_catalogue_sizes(items):
    from alterrec.kernels.rank_window import add_from_window

    scores = torch.randn(512, items, device="cuda")
    drawn = add_from_window(torch.zeros_like(scores), scores, 20, items // 2, items // 4)
    assert drawn.max() == 1 and (drawn.sum(1) == items // 4).all()


@needs_gpu
@needs_triton
def test_a_gpu_sorts_only_rows_that_are_too_long_for_the_kernel(monkeypatch):
    sorted_rows = []
    monkeypatch.setattr(
        "alterrec.method.negatives.rank_window", lambda *args: sorted_rows.append(args) or rank_window(*args)
    )
    for items, sorts in ((2**15, 0), (2**15 + 1, 1)):
        counts = draw_hard(torch.randn(3, items, device="cuda"), 20, 1000)
        assert (counts.sum(1) == 980).all() and len(sorted_rows) == sorts


def test_without_triton_there_is_a_warning_and_no_kernel(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "triton", None)
    assert built_kernel.__wrapped__("rank_window") is None
    assert "install triton" in caplog.text


def test_k2_is_cut_to_half_the_catalogue():
    assert window_bounds(20, 20000, 1000) == (20, 500)
    assert window_bounds(20, 300, 1000) == (20, 300)
    with pytest.raises(UserError, match="k1 = 20 and k2 = 20000 .*catalogue of 40 items: lower k1"):
        window_bounds(20, 20000, 40)
