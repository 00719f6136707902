"""The alternation: whose epoch it is, what it learns from, and the augmented loss."""

import numpy as np
import pytest
import torch

from alterrec.engine.learner_interface import Epoch
from alterrec.engine.windows import Windows
from alterrec.method.alternation import Alternating, alternation
from alterrec.method.networks import id_network, text_network
from alterrec.study.settings import AlterRecConfig
from tests.planted import dataset, shuffled_batches
from tests.reference import literal
from tests.unit.test_literal import Given

SMALL = {"dimension": 8, "dropout": 0.0, "max_length": 5, "k1": 2, "k2": 6, "initialisation": "xavier"}
WALKS = [[0, 1, 2, 3], [4, 5], [6, 7, 8], [9, 10, 11, 0, 2]]


def turns(**settings) -> list[str]:
    return [f"{e.network}{e.number} {e.mode}" for e in alternation(AlterRecConfig(**SMALL, **settings))]


def test_schedule_of_the_paper():
    assert turns(epochs=4) == [
        *("id1 random", "id2 random", "text1 random", "text2 random"),
        *("id3 hard", "id4 hard", "text3 hard", "text4 hard"),
    ]


def test_every_network_gets_its_budget():
    assert turns(epochs=3, m_gap=2, m_random=0) == [
        *("id1 hard", "id2 hard", "text1 hard", "text2 hard", "id3 hard", "text3 hard"),
    ]


@pytest.mark.parametrize(
    ("hard_negatives_for", "expected"),
    [
        ("both", {"id hard", "text hard"}),
        ("id", {"id hard", "text random"}),
        ("none", {"id random", "text random"}),
    ],
)
def test_directions(hard_negatives_for, expected):
    found = {
        f"{turn[: turn.index(' ') - 1]} {turn.split()[1]}"
        for turn in turns(epochs=2, m_random=0, hard_negatives_for=hard_negatives_for)
    }
    assert found == expected


def learner(**settings) -> Alternating:
    config = AlterRecConfig(**SMALL, **settings)
    torch.manual_seed(0)
    text = torch.randn(12, 4)
    networks = id_network(12, config), text_network(text, torch.arange(12), config)
    return Alternating(*networks, 12, config)


def windows() -> Windows:
    return Windows(dataset(WALKS, ["train"] * 4, ["t"] * 12), ("train",), 5, torch.device("cpu"))


def test_hard_negatives_come_from_the_idle_network():
    model, data = learner(), windows()
    model.module.eval()
    batch = data.batch(torch.arange(len(data)))
    scores = model.networks["text"](batch)
    outside = [set(range(12)) - literal.window(row.tolist(), 2, 6) for row in scores]
    hard = torch.zeros(len(batch), 12)
    for _ in range(200):
        hard += model.negatives(model.networks["text"], batch, "hard").counts(slice(None))
    assert (hard.sum(1) == 200 * 4).all()
    for row, rest in zip(
        hard, outside, strict=True
    ):  # outside the window: uniform draws only, 2 of 12 each time
        assert row[list(rest)].mean() < 60 < row[list(set(range(12)) - rest)].mean()


def test_positives_are_the_teachers_best_and_the_true_label_may_be_among_them():
    model, data = learner(augment=True, p=3), windows()
    model.module.eval()
    epoch = Epoch("text", 3, "augmented")
    model.start(epoch, data)
    for batch in shuffled_batches(data, 4, np.random.default_rng(0), views=4):
        best = model.networks["id"](batch).topk(3).indices
        labels = model.labels(batch)
        for i, view in enumerate(batch.view.tolist()):
            assert labels[i] == (batch.target[i] if view == 0 else best[i, view - 1])


def test_augmented_loss_is_mean_plus_beta_mean(monkeypatch):
    model, data = learner(augment=True, p=2, beta=0.25), windows()
    model.module.eval()
    epoch = Epoch("id", 3, "augmented")
    model.start(epoch, data)
    monkeypatch.setattr(model, "negatives", lambda idle, batch, mode: Given(torch.ones(len(batch), 12)))
    rows, view = torch.tensor([0, 1, 0, 3]), torch.tensor([0, 1, 2, 0])
    batch = data.batch(rows, view)
    scores, labels = model.networks["id"](batch), model.labels(batch)
    each = torch.stack(
        [literal.cross_entropy(s, int(y), list(range(12))) for s, y in zip(scores, labels, strict=True)]
    )
    expected = each[batch.view == 0].mean() + 0.25 * each[batch.view > 0].mean()
    torch.testing.assert_close(model.loss(batch, epoch), expected)


def test_an_augmented_epoch_can_have_a_plain_ones_steps():
    epoch = Epoch("id", 3, "augmented")
    assert learner(augment=True).steps(epoch, 7) == 7
    assert learner(augment=True, augmented_epoch="all_instances").steps(epoch, 7) is None
    assert (
        learner(augment=True, p=5).views(epoch) == 6
        and learner(augment=True).views(Epoch("id", 1, "random")) == 1
    )


def test_positives_from_the_id_network_in_both_directions():
    model, data = learner(augment=True, p=2, positives_from="id"), windows()
    model.module.eval()
    batch = data.batch(torch.arange(len(data)))
    model.start(Epoch("id", 3, "augmented"), data)
    assert torch.equal(model.positives[batch.instance], model.networks["id"](batch).topk(2).indices)
