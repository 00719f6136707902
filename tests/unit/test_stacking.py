"""Stacking: the learned weights are the minimum of the literal objective, and no worse than any blend of the grid."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from alterrec.engine.windows import Windows
from alterrec.ranking import stacking
from alterrec.ranking.blending import ALPHAS, BLENDS, blend
from alterrec.ranking.stacking import learn_stack, loss_and_gradient, weighted_sum
from tests.planted import CPU, no_signal

DATA = no_signal(items=40, sessions=200)
VALIDATION = Windows(DATA, ("validation",), 50, CPU)


def parts(batch) -> dict[str, torch.Tensor]:
    """Two noisy views of the target, the first one ten times as large and less noisy."""
    noise = torch.stack(
        [
            torch.randn(2, 40, generator=torch.Generator().manual_seed(int(i)), dtype=torch.float64)
            for i in batch.instance
        ]
    )
    target = F.one_hot(batch.target, 40)
    return {"first": 10 * (2 * target + noise[:, 0]), "second": target + noise[:, 1]}


def literal_loss(weights: np.ndarray) -> float:
    """The mean over validation targets of -log softmax(w . (s1, z1, s2, z2)), item by item."""
    losses = []
    for batch in VALIDATION.in_order(1):
        for row, target in zip(torch.stack([*parts(batch).values()], 1).tolist(), batch.target, strict=True):
            columns = [column for scores in row for column in (scores, z(scores))]
            total = [
                sum(w * c for w, c in zip(weights, item, strict=True)) for item in zip(*columns, strict=True)
            ]
            losses.append(math.log(sum(map(math.exp, total))) - total[target])
    return sum(losses) / len(losses)


def z(scores: list[float]) -> list[float]:
    mean, deviation = np.mean(scores), np.std(scores)
    return [(score - mean) / deviation for score in scores]


def test_loss_and_gradient_are_the_literal_ones(monkeypatch):
    monkeypatch.setattr(stacking, "rows_at_once", lambda *_: 7)  # several batches
    weights = np.array([0.02, 0.5, -0.3, 0.8])
    loss, gradient = loss_and_gradient(parts, VALIDATION, torch.from_numpy(weights))
    assert loss == pytest.approx(literal_loss(weights))
    for index, step in enumerate(1e-5 * np.eye(4)):
        slope = (literal_loss(weights + step) - literal_loss(weights - step)) / 2e-5
        assert gradient[index] == pytest.approx(slope, abs=1e-6)


def test_the_learned_weights_fit_better_than_every_blend_of_the_grid():
    stack = learn_stack(parts, 2, VALIDATION)
    batch = VALIDATION.batch(torch.arange(len(VALIDATION)))
    first, second = parts(batch).values()
    blends = [blend(first, second, kind, alpha) for kind, alpha in product(BLENDS, ALPHAS)]
    learned = F.cross_entropy(stack.scores(batch)["model"], batch.target)
    assert learned < min(F.cross_entropy(scores, batch.target) for scores in blends) - 0.01
    before = loss_and_gradient(parts, VALIDATION, stack.weights)[1]
    assert np.abs(before + 2 * stacking.PENALTY * stack.weights.numpy()).max() < 1e-3


def test_scores_are_the_weighted_sum_and_keep_the_parts():
    batch = VALIDATION.batch(torch.arange(5))
    stack = stacking.Stack(parts, torch.tensor([0.0, 0.0, 1.0, 0.0]))
    scores = stack.scores(batch)
    assert set(scores) == {"model", "first", "second"} and torch.equal(scores["model"], scores["second"])
    assert torch.equal(
        weighted_sum([torch.ones(2), 3 * torch.ones(2)], torch.tensor([2.0, -1.0])), -torch.ones(2)
    )
