"""Cross-entropy of the next item against its negatives, given as multiplicities over scores that exist anyway.

I instances, N items, M columns of a network (see networks.py; M < N where items share a text).
"""

import torch
from torch.nn import functional as F

from alterrec.networks import UniModalNetwork


def full_softmax(network: UniModalNetwork, scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """[I] cross-entropy over the whole catalogue; a column that m items share enters the sum m times."""
    if network.column_of_item is None:
        return F.cross_entropy(scores, target, reduction="none")
    shared = torch.bincount(network.column_of_item, minlength=scores.shape[1]).to(scores.dtype)
    return torch.logsumexp(scores + shared.log(), dim=1) - own(network, scores, target)


def sampled_softmax(
    network: UniModalNetwork, scores: torch.Tensor, target: torch.Tensor, counts: torch.Tensor
) -> torch.Tensor:
    """[I] cross-entropy against drawn negatives, `counts` [I, N] times each: multiplicity m adds log m to a logit.

    Draws equal to the label are masked out; the label itself enters once.
    """
    counts = counts.scatter(1, target[:, None], 1.0)
    return torch.logsumexp(scores + network.fold(counts).log(), dim=1) - own(network, scores, target)


def own(network: UniModalNetwork, scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """[I] the targets' own scores."""
    return scores.gather(1, network.columns(target)[:, None]).squeeze(1)
