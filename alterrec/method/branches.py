"""How strongly each branch of a network learns: the gradient at its weights, and how far an epoch moves them.

A branch turns ids or texts into item vectors. Its weights are those that no other branch shares: the ID embedding [N, d],
or weight and bias of the projection of the texts. A session encoder that reads both branches belongs to neither.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.utils import get_total_norm, parameters_to_vector

Branches = Mapping[str, list[nn.Parameter]]
"""The weights of each branch, under "id" or "text"."""


def gradient_norms(loss: torch.Tensor, branches: Branches) -> dict[str, float]:
    """The Euclidean norm of the gradient of `loss` in the weights of each branch."""
    weights = [weight for own in branches.values() for weight in own]
    gradients = iter(torch.autograd.grad(loss, weights) if weights else ())
    return {
        f"{part}_gradient_norm": float(get_total_norm([next(gradients) for _ in own]))
        for part, own in branches.items()
    }


def as_vectors(branches: Branches) -> dict[str, torch.Tensor]:
    """A copy of each branch's weights as one vector."""
    return {part: parameters_to_vector(own).detach() for part, own in branches.items()}


def update_sizes(before: Mapping[str, torch.Tensor], branches: Branches) -> dict[str, float]:
    """|after - before| / |before| of each branch's weights, `before` as `as_vectors` gave them."""
    after = as_vectors(branches)
    return {
        f"{part}_update_size": float((after[part] - old).norm() / old.norm()) for part, old in before.items()
    }
