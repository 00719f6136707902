"""The alternation: which network trains in each epoch, the epoch's mode, and the augmented loss."""

import numpy as np
import pytest
import torch

from alterrec.engine.contract import Task
from alterrec.engine.learner_interface import Epoch
from alterrec.engine.training_loop import train_learner
from alterrec.method.alternation import Alternating, alternation
from alterrec.method.learners import SampledSingle
from alterrec.method.networks import id_network, text_network
from alterrec.study.settings import AlterRecConfig
from tests.planted import GivenNegatives, id_signal, shuffled_batches, train_windows
from tests.reference import literal

SMALL = {"dimension": 8, "dropout": 0.0, "max_length": 5, "k1": 2, "k2": 6, "initialisation": "xavier"}
ITEMS = 12
WALKS = [[0, 1, 2, 3], [4, 5], [6, 7, 8], [9, 10, 11, 0, 2]]


def epochs_of(**settings) -> list[str]:
    """The epochs of a run in words, such as "id1 random"."""
    return [f"{e.network}{e.number} {e.mode}" for e in alternation(AlterRecConfig(**SMALL, **settings))]


def test_the_networks_alternate_as_in_the_paper():
    assert epochs_of(epochs=4) == [
        *("id1 random", "id2 random", "text1 random", "text2 random"),
        *("id3 hard", "id4 hard", "text3 hard", "text4 hard"),
    ]


def test_every_network_gets_all_of_its_epochs():
    assert epochs_of(epochs=3, m_gap=2, m_random=0) == [
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
def test_hard_negatives_train_the_chosen_networks(hard_negatives_for, expected):
    config = AlterRecConfig(**SMALL, epochs=2, m_random=0, hard_negatives_for=hard_negatives_for)
    assert {f"{epoch.network} {epoch.mode}" for epoch in alternation(config)} == expected


def learner(**settings) -> Alternating:
    config = AlterRecConfig(**SMALL, **settings)
    torch.manual_seed(0)
    text = torch.randn(ITEMS, 4)
    networks = id_network(ITEMS, config), text_network(text, torch.arange(ITEMS), config)
    return Alternating(*networks, ITEMS, config)


def windows():
    return train_windows(WALKS, ITEMS, SMALL["max_length"])


def test_hard_negatives_come_from_the_idle_network():
    model, data = learner(), windows()
    model.module.eval()
    batch = data.batch(torch.arange(len(data)))
    scores = model.networks["text"](batch)
    counts = torch.zeros(len(batch), ITEMS)
    for _ in range(200):
        counts += model.negatives(model.networks["text"], batch, "hard").counts(slice(None))
    assert (counts.sum(1) == 200 * 4).all()
    for row, own_scores in zip(counts, scores.tolist(), strict=True):
        inside = literal.window(own_scores, 2, 6)
        outside = set(range(ITEMS)) - inside  # uniform draws only: 2 of 12 items each time
        assert row[list(outside)].mean() < 60 < row[list(inside)].mean()


def test_positives_are_the_best_items_of_the_other_network():
    model, data = learner(augment=True, p=3), windows()
    model.module.eval()
    epoch = Epoch("text", 3, "augmented")
    model.start(epoch, data)
    for batch in shuffled_batches(data, 4, np.random.default_rng(0), views=4):
        best = model.networks["id"](batch).topk(3).indices
        labels = model.labels(batch)
        for i, view in enumerate(batch.view.tolist()):
            assert labels[i] == (batch.target[i] if view == 0 else best[i, view - 1])


def test_augmented_loss_adds_beta_times_the_mean_over_positives(monkeypatch):
    model, data = learner(augment=True, p=2, beta=0.25), windows()
    model.module.eval()
    epoch = Epoch("id", 3, "augmented")
    model.start(epoch, data)
    monkeypatch.setattr(
        model, "negatives", lambda idle, batch, mode: GivenNegatives(torch.ones(len(batch), ITEMS))
    )
    batch = next(shuffled_batches(data, 12, np.random.default_rng(0), views=3))
    assert set(batch.view.tolist()) == {0, 1, 2}
    scores, labels = model.networks["id"](batch), model.labels(batch)
    each = torch.stack(
        [literal.cross_entropy(s, int(y), list(range(ITEMS))) for s, y in zip(scores, labels, strict=True)]
    )
    expected = each[batch.view == 0].mean() + 0.25 * each[batch.view > 0].mean()
    torch.testing.assert_close(model.loss(batch, epoch), expected)


def test_an_augmented_epoch_has_as_many_steps_as_another_or_all_instances():
    epoch = Epoch("id", 3, "augmented")
    assert learner(augment=True).steps(epoch, 7) == 7
    assert learner(augment=True, augmented_epoch="all_instances").steps(epoch, 7) is None
    assert (
        learner(augment=True, p=5).views(epoch) == 6
        and learner(augment=True).views(Epoch("id", 1, "random")) == 1
    )


def test_only_augmented_epochs_have_larger_batches():
    model = learner(augment=True, p=5, augmented_epoch="larger_batches")
    assert model.steps(Epoch("id", 3, "augmented"), 7) is None
    assert model.batch_factor(Epoch("id", 3, "augmented")) == 6
    assert model.batch_factor(Epoch("id", 1, "random")) == 1
    assert learner(augment=True).batch_factor(Epoch("id", 3, "augmented")) == 1


@pytest.mark.parametrize(
    ("augmented_epoch", "steps", "labels"),
    [("larger_batches", 1, 1), ("all_instances", 3, 1), ("equal_steps", 1, 1 / 3)],
)
def test_an_augmented_epoch_has_the_steps_and_true_labels_of_a_plain_one(augmented_epoch, steps, labels):
    turns = {"epochs": 2, "m_gap": 1, "m_random": 2, "batch_size": 32}
    settings = turns | {"p": 2, "augment": True, "augmented_epoch": augmented_epoch}
    data, config = id_signal(ITEMS, sessions=200), AlterRecConfig(**SMALL, **settings)
    history = train_learner(
        lambda: learner(**settings), Task(data, config, np.random.SeedSequence(0))
    ).history
    plain, augmented = (row for row in history if row["network"] == "id")
    assert (plain["mode"], augmented["mode"]) == ("random", "augmented")
    assert plain["labels"] == (np.diff(data.offsets) - 1)[data.split == "train"].sum()
    assert augmented["updates"] - plain["updates"] == pytest.approx(steps * plain["updates"], abs=2)
    tolerance = 0.15 if labels < 1 else 0
    assert augmented["labels"] - plain["labels"] == pytest.approx(labels * plain["labels"], rel=tolerance)


@pytest.mark.parametrize("augmented_prefix", ["clean", "padded"])
def test_only_augmented_epochs_pad_augmented_prefixes(augmented_prefix):
    model = learner(augment=True, augmented_prefix=augmented_prefix)
    assert model.pads_views(Epoch("id", 3, "augmented")) == (augmented_prefix == "padded")
    assert not model.pads_views(Epoch("id", 1, "random"))


def test_positives_can_come_from_the_id_network_in_both_directions():
    model, data = learner(augment=True, p=2, positives_from="id"), windows()
    model.module.eval()
    batch = data.batch(torch.arange(len(data)))
    model.start(Epoch("id", 3, "augmented"), data)
    assert torch.equal(model.positives[batch.instance], model.networks["id"](batch).topk(2).indices)


@pytest.mark.parametrize("negatives", ["multiset", "set"])
@pytest.mark.parametrize("name", ["id", "text"])
def test_a_network_alone_has_the_loss_of_a_random_epoch(name, negatives):
    in_turns = learner(negatives=negatives)
    alone = SampledSingle(in_turns.networks[name], name, ITEMS, in_turns.config)
    (epoch,) = alone.schedule(in_turns.config.model_copy(update={"epochs": 1}))
    batch = next(shuffled_batches(windows(), 8, np.random.default_rng(0)))
    losses = []
    for one in (in_turns, alone):
        torch.manual_seed(1)
        losses.append(float(one.loss(batch, epoch)))
    assert epoch == Epoch(name, 1, "random")
    assert losses[0] == losses[1]
