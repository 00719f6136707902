"""Stacking: the weights of several scores, learned on validation targets (Wolpert, Neural Networks 1992).

The score of an item is w . f, where f [F] are its scores by the base models. The weights minimise the mean cross-entropy of
the validation targets over the catalogue, which is convex in w.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from alterrec.engine.memory import rows_at_once
from alterrec.engine.windows import Batch, Windows
from alterrec.ranking.blending import standardise

PENALTY = 1e-4
"""Weight of |w|^2 beside the cross-entropy: it keeps w finite where a score puts every target first."""
Parts = Callable[[Batch], dict[str, torch.Tensor]]
"""[I, N] scores of each base model, by name."""


@dataclass(frozen=True)
class Stack:
    """A scorer whose "model" score is the weighted sum of the base models' scores, as they are and standardised."""

    parts: Parts
    weights: torch.Tensor
    blend_parts: None = None

    def scores(self, batch: Batch) -> dict[str, torch.Tensor]:
        parts = self.parts(batch)
        return parts | {"model": weighted_sum(features(parts), self.weights)}


def features(parts: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """The scores of every base model, as they are and standardised per instance over the catalogue."""
    return [each for scores in parts.values() for each in (scores, standardise(scores))]


def weighted_sum(scores: list[torch.Tensor], weights: torch.Tensor) -> torch.Tensor:
    return sum(weight.to(each.dtype) * each for weight, each in zip(weights, scores, strict=True))


def learn_stack(parts: Parts, models: int, validation: Windows) -> Stack:
    """The stack of so many base `models` whose weights fit the validation targets best.

    L-BFGS starts from equal weights of the standardised scores.
    """
    from scipy.optimize import minimize  # slow to import, and no other ensemble needs it

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = loss_and_gradient(parts, validation, torch.from_numpy(weights))
        return loss + PENALTY * (weights**2).sum(), gradient + 2 * PENALTY * weights

    found = minimize(objective, np.tile([0.0, 1.0], models), jac=True, method="L-BFGS-B")
    return Stack(parts, torch.from_numpy(found.x))


def loss_and_gradient(parts: Parts, windows: Windows, weights: torch.Tensor) -> tuple[float, np.ndarray]:
    """The mean cross-entropy of all targets under the `weights` [F], and its gradient [F]."""
    loss, gradient = 0.0, np.zeros(len(weights))
    for batch in windows.in_order(rows_at_once(windows.catalogue_size, windows.flat.device)):
        with torch.no_grad():
            scores = features(parts(batch))
            logits = weighted_sum(scores, weights)
            loss += float(F.cross_entropy(logits, batch.target, reduction="sum"))
            error = logits.softmax(1).sub_(F.one_hot(batch.target, windows.catalogue_size))
            gradient += [float((error * each).sum()) for each in scores]
    return loss / windows.instances, gradient / windows.instances
