"""A target's rank as two counts: the items that score strictly higher, and the other items with the same score.

Tied items are never put in an order. `metrics.py` turns the two counts into the mean over all orders of the ties.
"""

import numpy as np
import torch


def above_and_ties(scores: torch.Tensor, target: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Of [I, N] scores and [I] targets: [I] items strictly above the target, [I] other items with its score."""
    target_score = scores.gather(1, target[:, None])
    # 0 or 1 as floats: a CPU adds them several times as fast as booleans, and exactly
    flags = torch.empty_like(scores)
    above = torch.gt(scores, target_score, out=flags).sum(1).to(torch.int32)
    ties = torch.eq(scores, target_score, out=flags).sum(1).to(torch.int32) - 1
    return above.cpu().numpy(), ties.cpu().numpy()


def above_and_ties_unseen(
    scores: torch.Tensor, target: torch.Tensor, seen: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """The same counts in the catalogue without the items of the prefix, which `seen` [I, N] marks.

    A target that occurs in its prefix cannot be recommended here: it counts as ranked after all N items.
    """
    above, ties = above_and_ties(scores.masked_fill(seen, -torch.inf), target)
    repeated = seen.gather(1, target[:, None]).squeeze(1).cpu().numpy()
    return np.where(repeated, np.int32(scores.shape[1]), above), np.where(repeated, np.int32(0), ties)
