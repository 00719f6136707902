"""The negatives of the alternation (paper, section 4.2), as counts over the catalogue instead of lists of items.

`counts(rows)` of a negatives object says how often each item is drawn as a negative of each instance in the slice
`rows`: [i, N] float32. Every call draws anew, so it is made once for each instance of a step, in order.
"""

from dataclasses import dataclass
from typing import Protocol

import torch

from alterrec.errors import UnfitSettings
from alterrec.kernels.build import built_kernel


class Negatives(Protocol):
    def counts(self, rows: slice) -> torch.Tensor:
        """[i, N] how often each item is a negative of each instance in `rows`."""


@dataclass(frozen=True)
class RandomNegatives:
    """`draws` items for each of `instances`, drawn uniformly from a catalogue of `items`, with replacement."""

    instances: int
    items: int
    draws: int
    device: torch.device

    def counts(self, rows: slice) -> torch.Tensor:
        return draw_uniform(len(range(self.instances)[rows]), self.items, self.draws, self.device)


@dataclass(frozen=True)
class HardNegatives:
    """k2 - k1 negatives, half from the ranks k1 + 1..k2 of another network's scores and half uniform.

    The scores are session_vectors [I, d] @ item_vectors [N, d]^T, without gradients.
    """

    session_vectors: torch.Tensor
    item_vectors: torch.Tensor
    k1: int
    k2: int

    def counts(self, rows: slice) -> torch.Tensor:
        return draw_hard(self.session_vectors[rows] @ self.item_vectors.T, self.k1, self.k2)


@dataclass(frozen=True)
class CountedOnce:
    """The same negatives without their repetitions (`negatives: set`)."""

    drawn: Negatives

    def counts(self, rows: slice) -> torch.Tensor:
        return self.drawn.counts(rows).clamp_(max=1.0)


def window_bounds(k1: int, k2: int, items: int) -> tuple[int, int]:
    """The rank window for a catalogue of `items`: k2 is cut to half the catalogue. UnfitSettings if k1 is not below it."""
    cut = min(k2, items // 2)
    if cut <= k1:
        raise UnfitSettings(
            f"no ranks between k1 = {k1} and k2 = {k2} in the better half of a catalogue of {items} items: lower k1"
        )
    return k1, cut


def draw_uniform(instances: int, items: int, draws: int, device: torch.device) -> torch.Tensor:
    """[I, N] how often each item came up in `draws` uniform draws with replacement."""
    drawn = torch.randint(items, (instances, draws), device=device)
    return torch.zeros(instances, items, device=device).scatter_add_(
        1, drawn, torch.ones((), device=device).expand_as(drawn)
    )


def rank_window(scores: torch.Tensor, k1: int, k2: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Each row's items on the ranks 1..k2 [I, k2], in no order, and the places among them of the ranks 1..k1 [I, k1].

    Items with equal scores may take their ranks in any order.
    """
    values, items = scores.topk(k2, dim=1, sorted=False)
    return items, values.topk(k1, dim=1, sorted=False).indices


def draw_from(items: torch.Tensor, excluded: torch.Tensor, draws: int) -> torch.Tensor:
    """[I, draws] of each row's `items`, but for the places `excluded`: no item twice, every subset equally likely."""
    keys = torch.rand(items.shape, device=items.device).scatter_(1, excluded, -1.0)
    return items.gather(1, keys.topk(draws, dim=1, sorted=False).indices)


def draw_hard(scores: torch.Tensor, k1: int, k2: int) -> torch.Tensor:
    """[I, N] counts of k2 - k1 negatives: half from the ranks k1 + 1..k2 by `scores` [I, N], half uniform."""
    half = (k2 - k1) // 2
    counts = draw_uniform(len(scores), scores.shape[1], k2 - k1 - half, scores.device)
    kernel = built_kernel("rank_window") if scores.is_cuda else None
    if kernel and scores.shape[1] <= kernel.LARGEST:
        return kernel.add_from_window(counts, scores, k1, k2, half)
    drawn = draw_from(*rank_window(scores, k1, k2), half)
    return counts.scatter_add_(1, drawn, torch.ones((), device=scores.device).expand_as(drawn))
