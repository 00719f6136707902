"""The losses of GRU4Rec: an instance's negatives are the other targets of its batch, and items drawn once for the batch.

Hidasi and Karatzoglou, Recurrent neural networks with top-k gains, CIKM 2018, as in the author's program
(github.com/hidasib/GRU4Rec_PyTorch_Official). `scores` [I, I + K]: column i of row i is the target, the others are
negatives; -inf marks a column that has no item.
"""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from alterrec.sequence_models.prefix_network import PrefixLearner, PrefixNetwork, mean_loss

ELU = 0.5  # BPR-max bounds scores from below by -ELU
TINY = 1e-24


class BatchNegativesLearner(PrefixLearner):
    """`loss` maps scores [I, I + K] to a loss per instance [I]; K `negatives` are drawn in proportion to `weights` [N]."""

    def __init__(
        self,
        network: PrefixNetwork,
        loss: Callable[[torch.Tensor], torch.Tensor],
        negatives: int,
        weights: torch.Tensor,
    ):
        super().__init__(network)
        self.of_scores, self.negatives = loss, negatives
        self.cumulative = weights.cumsum(0) / weights.sum()

    def loss(self, batch, epoch):
        states, matrix = self.network(batch)
        scores = states @ matrix[torch.cat([batch.target, self.drawn()])].T
        if batch.valid is not None:
            absent = F.pad(~batch.valid, (0, self.negatives)) & ~own_columns(scores)
            scores = scores.masked_fill(absent, -torch.inf)
        return mean_loss(self.of_scores(scores), batch)

    def drawn(self) -> torch.Tensor:
        """[K] items drawn with replacement. It waits for no result on the device, so it is fit for a CUDA graph."""
        at = torch.rand(self.negatives, dtype=self.cumulative.dtype, device=self.cumulative.device)
        return torch.searchsorted(self.cumulative, at, right=True).clamp(max=len(self.cumulative) - 1)


def cross_entropy(scores: torch.Tensor) -> torch.Tensor:
    """[I]"""
    return scores.logsumexp(1) - scores.diagonal()


def bpr_max(scores: torch.Tensor, penalty: float) -> torch.Tensor:
    """[I] the likelihood that the target is above a negative, in the mean over the negatives by their softmax."""
    bounded = F.elu(scores, ELU)
    share = bounded.masked_fill(own_columns(scores) | scores.isinf(), -torch.inf).softmax(1)
    above = (bounded.diagonal()[:, None] - bounded).sigmoid()
    return -((share * above).sum(1) + TINY).log() + penalty * (share * bounded**2).sum(1)


def own_columns(scores: torch.Tensor) -> torch.Tensor:
    """[I, I + K] True at the target of each row."""
    return torch.eye(*scores.shape, dtype=torch.bool, device=scores.device)
