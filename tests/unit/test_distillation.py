"""Mutual distillation: the divergence equals its formula, and each network learns from a constant copy of the other."""

import math

import torch

from alterrec.engine.learner_interface import Epoch
from alterrec.method import distillation
from alterrec.method.distillation import MutualLearner, distillation_loss
from alterrec.method.networks import id_network, text_network
from tests.planted import CONFIG, ITEMS, SESSIONS, TEXT_OF_ITEM, gradients, train_windows

WINDOWS = train_windows(SESSIONS)
BATCH = WINDOWS.batch(torch.arange(len(WINDOWS)))


def mutual(strength: float, temperature: float = 1.0) -> MutualLearner:
    torch.manual_seed(0)
    text = torch.randn(9, 5, dtype=torch.float64)
    networks = id_network(ITEMS, CONFIG), text_network(text, TEXT_OF_ITEM, CONFIG)
    learner = MutualLearner(*networks, strength, temperature)
    learner.module.double().train()
    return learner


def literal_divergence(own: list[float], others: list[float], temperature: float) -> float:
    """KL(others || own) of two rows of scores, term by term."""

    def probabilities(row):
        terms = [math.exp(score / temperature) for score in row]
        return [term / sum(terms) for term in terms]

    pairs = zip(probabilities(others), probabilities(own), strict=True)
    return sum(q * (math.log(q) - math.log(p)) for q, p in pairs)


def test_the_loss_is_two_cross_entropies_and_the_divergence_in_both_directions(monkeypatch):
    monkeypatch.setattr(distillation, "rows_at_once", lambda *_: 4)  # several blocks
    learner = mutual(0.7, temperature=2.0)
    scores = learner.scores(BATCH)
    rows = {name: scores[name].tolist() for name in ("id", "text")}
    divergence = [
        literal_divergence(rows[own][i], rows[other][i], 2.0)
        for own, other in (("id", "text"), ("text", "id"))
        for i in range(len(BATCH))
    ]
    entropies = sum(torch.nn.functional.cross_entropy(scores[name], BATCH.target) for name in ("id", "text"))
    expected = entropies + 0.7 * 2.0**2 * sum(divergence) / len(BATCH)
    torch.testing.assert_close(learner.loss(BATCH, Epoch("joint", 1)), expected)


def test_a_network_does_not_learn_to_be_predicted_by_the_other_one():
    learner = mutual(1.0)
    text_states, columns = learner.text.encode(BATCH)
    student, teacher = learner.id.encode(BATCH), (text_states, columns[learner.text.column_of_item])
    distillation_loss(student, teacher, BATCH.mean_over(), 1.0).backward()
    assert all(parameter.grad is None for parameter in learner.text.parameters())
    assert any(parameter.grad.any() for parameter in learner.id.parameters())


def test_without_the_divergence_the_networks_are_independent():
    learner = mutual(0.0)
    joint = gradients(learner.module, learner.loss(BATCH, Epoch("joint", 1)))
    scores = learner.id(BATCH)
    alone = gradients(learner.id, torch.nn.functional.cross_entropy(scores, BATCH.target))
    for name, gradient in alone.items():
        torch.testing.assert_close(joint[f"joint.id.{name}"], gradient, msg=name)
