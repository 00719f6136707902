"""Ranks by counting equal the literal ones; ties, seen items, blends and bad scores."""

import numpy as np
import pytest
import torch

from alterrec.errors import UserError
from alterrec.ranking.blending import blend, standardise
from alterrec.ranking.metrics import expected_hits
from alterrec.ranking.rank import rank
from tests.planted import dataset, no_signal
from tests.reference.literal import target_rank_counts

CPU = torch.device("cpu")
DATA = dataset([[0, 1, 2, 1], [3, 4], [2, 5, 3]], ["test", "validation", "test"], ["t"] * 6)


class Table:
    """Scores that depend on the last item: a fixed [N, N] table."""

    def __init__(self, table, parts=()):
        self.table, self.blend_parts = table, parts or None

    def scores(self, batch):
        found = {"model": self.table[batch.last_item]}
        return found | {part: found["model"] + i for i, part in enumerate(self.blend_parts or ())}


def test_counts_equal_the_literal_ones():
    table = torch.randint(4, (6, 6), generator=torch.Generator().manual_seed(0)).float()
    ranks, top, alpha = rank(Table(table), DATA, 50, CPU)
    assert len(ranks) == 6 and len(alpha) == 0
    for row in ranks.itertuples():
        items = DATA.items_of(row.session).tolist()
        prefix, target = items[: row.position], items[row.position]
        scores = table[prefix[-1]].tolist()
        assert (row.target, row.last) == (target, row.position == len(items) - 1)
        assert (row.above, row.ties) == target_rank_counts(scores, target)
        if target in prefix:
            assert (row.above_unseen, row.ties_unseen) == (6, 0)
        else:
            kept = [-np.inf if item in prefix else score for item, score in enumerate(scores)]
            assert (row.above_unseen, row.ties_unseen) == target_rank_counts(kept, target)


def test_top_lists_are_the_best_in_order():
    table = torch.rand(6, 6, generator=torch.Generator().manual_seed(1))
    ranks, top, _ = rank(Table(table), DATA, 50, CPU)
    test = ranks[ranks["split"] == "test"].reset_index()
    assert (test[["session", "position"]] == top[["session", "position"]]).all().all()
    for row, best in zip(test.itertuples(), top["items"], strict=True):
        last = DATA.items_of(row.session)[row.position - 1]
        assert list(best) == table[last].argsort(descending=True).tolist()


def test_a_constant_scorer_is_exactly_at_chance():
    data = no_signal(items=50, sessions=60)
    ranks, *_ = rank(Table(torch.zeros(50, 50)), data, 50, CPU)
    assert (ranks["above"] == 0).all() and (ranks["ties"] == 49).all()
    assert expected_hits(ranks["above"].to_numpy(), ranks["ties"].to_numpy(), 20).mean() == pytest.approx(
        20 / 50, abs=1e-12
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused(bad):
    table = torch.zeros(6, 6)
    table[2, 3] = bad
    with pytest.raises(UserError, match="not all finite.*lower learning_rate"):
        rank(Table(table), DATA, 50, CPU)


def test_alpha_grid_of_a_blend():
    _, _, alpha = rank(Table(torch.rand(6, 6), parts=("id", "text")), DATA, 50, CPU)
    assert len(alpha) == 6 * 2 * 11 and set(alpha["blend"]) == {"raw", "zscore"}


def test_blends():
    first, second = torch.rand(3, 9), torch.rand(3, 9) * 100
    torch.testing.assert_close(blend(first, second, "raw", 0.25), 0.25 * first + 0.75 * second)
    z = blend(first, second, "zscore", 0.5)
    torch.testing.assert_close(z, (standardise(first) + standardise(second)) / 2)
    assert torch.equal(blend(first, second, "zscore", 1), first) and torch.equal(
        blend(first, second, "raw", 0), second
    )
    assert torch.equal(standardise(torch.full((1, 4), 3.0)), torch.zeros(1, 4))
