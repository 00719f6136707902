"""Ranks equal those of a literal count; tied and seen items, blends, and scores that are not finite."""

import numpy as np
import pytest
import torch

from alterrec.engine.windows import Windows
from alterrec.errors import UserError
from alterrec.ranking.blending import ALPHAS, BLENDS, blend, choose_blend, standardise
from alterrec.ranking.metrics import K, expected_hits
from alterrec.ranking.rank import rank
from alterrec.study.settings import BlendConfig
from tests.planted import dataset, no_signal
from tests.reference.literal import target_rank_counts

CPU = torch.device("cpu")
DATA = dataset([[0, 1, 2, 1], [3, 4], [2, 5, 3]], ["test", "validation", "test"], ["t"] * 6)


class Table:
    """A scorer whose scores depend on the prefix's last item only: a row of a fixed [N, N] table."""

    def __init__(self, table, parts=()):
        self.table, self.blend_parts = table, parts or None

    def scores(self, batch):
        scores = self.table[batch.last_item]
        return {"model": scores} | {part: scores + i for i, part in enumerate(self.blend_parts or ())}


def test_counts_equal_a_literal_count():
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


def test_top_lists_hold_the_best_items_in_order():
    table = torch.rand(6, 6, generator=torch.Generator().manual_seed(1))
    ranks, top, _ = rank(Table(table), DATA, 50, CPU)
    test = ranks[ranks["split"] == "test"].reset_index()
    assert (test[["session", "position"]] == top[["session", "position"]]).all().all()
    for row, best in zip(test.itertuples(), top["items"], strict=True):
        last = DATA.items_of(row.session)[row.position - 1]
        assert list(best) == table[last].argsort(descending=True).tolist()


def test_equal_scores_give_exactly_the_hits_of_chance():
    data = no_signal(items=50, sessions=60)
    ranks, *_ = rank(Table(torch.zeros(50, 50)), data, 50, CPU)
    assert (ranks["above"] == 0).all() and (ranks["ties"] == 49).all()
    hits = expected_hits(ranks["above"].to_numpy(), ranks["ties"].to_numpy(), K)
    assert hits.mean() == pytest.approx(K / 50, abs=1e-12)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_refused(bad):
    table = torch.zeros(6, 6)
    table[2, 3] = bad
    with pytest.raises(UserError, match="not all finite.*lower learning_rate"):
        rank(Table(table), DATA, 50, CPU)


def test_the_alpha_grid_ranks_every_instance_with_every_blend_and_alpha():
    _, _, alpha = rank(Table(torch.rand(6, 6), parts=("id", "text")), DATA, 50, CPU)
    assert len(alpha) == 6 * len(BLENDS) * len(ALPHAS)
    assert (alpha.groupby(["blend", "alpha"])["above"].count() == 6).all()


def test_the_blend_with_the_most_validation_hits_is_chosen():
    data = no_signal(items=50, sessions=60)
    validation = Windows(data, ("validation",), 50, CPU)

    def parts(batch):
        """The text part knows the target, the ID part ranks it last."""
        text = torch.nn.functional.one_hot(batch.target, 50).float()
        return {"id": -2 * text, "text": text}

    chosen = choose_blend(parts, ("id", "text"), BlendConfig(blend="raw", alpha="validation"), validation)
    assert (chosen.kind, chosen.alpha) == ("raw", 0.0)
    chosen = choose_blend(parts, ("text", "id"), BlendConfig(blend="raw", alpha="validation"), validation)
    assert (chosen.kind, chosen.alpha) == ("raw", 0.7), (
        "the first alpha for which the text part outweighs the ID part"
    )
    fixed = choose_blend(parts, ("id", "text"), BlendConfig(blend="zscore", alpha=0.3), validation)
    assert (fixed.kind, fixed.alpha) == ("zscore", 0.3)


def test_a_blend_is_the_weighted_mean_of_raw_or_standardised_scores():
    first, second = torch.rand(3, 9), torch.rand(3, 9) * 100
    torch.testing.assert_close(blend(first, second, "raw", 0.25), 0.25 * first + 0.75 * second)
    z = blend(first, second, "zscore", 0.5)
    torch.testing.assert_close(z, (standardise(first) + standardise(second)) / 2)
    assert torch.equal(blend(first, second, "zscore", 1), first) and torch.equal(
        blend(first, second, "raw", 0), second
    )
    assert torch.equal(standardise(torch.full((1, 4), 3.0)), torch.zeros(1, 4))
