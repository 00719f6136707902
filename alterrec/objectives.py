"""Cross-entropy of the next item over a catalogue of any size: scores exist a block of instances at a time.

Loss and gradient of a block are computed together and its scores forgotten, so memory does not grow with instances x
catalogue. Negatives are multiplicities over scores that exist anyway: an item drawn m times adds log m to its logit.
I instances, N items, M columns of a network (see networks.py; M < N where items share a text), d dimensions.
"""

from collections.abc import Callable

import torch

from alterrec.memory import rows_at_once
from alterrec.networks import UniModalNetwork

LogCounts = torch.Tensor | Callable[[slice], torch.Tensor] | None


class SoftmaxLoss(torch.autograd.Function):
    """sum_i weight_i * (log sum_j exp(states_i . matrix_j + log_counts_ij) - states_i . matrix_label_i)."""

    @staticmethod
    def forward(ctx, states, matrix, label, weight, log_counts: LogCounts, rows: int):
        to_states, to_matrix, total = torch.empty_like(states), torch.zeros_like(matrix), states.new_zeros(())
        for start in range(0, len(states), rows):
            part = slice(start, start + rows)
            logits = states[part] @ matrix.T
            own = logits.gather(1, label[part, None])
            if log_counts is not None:
                logits += log_counts if isinstance(log_counts, torch.Tensor) else log_counts(part)
            peak = logits.amax(1, keepdim=True)
            share = logits.sub_(peak).exp_()
            mass, scale = share.sum(1, keepdim=True), weight[part, None]
            total += (scale * (mass.log() + peak - own)).sum()
            share.mul_(scale / mass).scatter_add_(1, label[part, None], -scale)
            torch.mm(share, matrix, out=to_states[part])
            to_matrix.addmm_(share.T, states[part])
        ctx.save_for_backward(to_states, to_matrix)
        return total

    @staticmethod
    def backward(ctx, gradient):
        to_states, to_matrix = ctx.saved_tensors
        return gradient * to_states, gradient * to_matrix, None, None, None, None


def softmax_loss(
    states: torch.Tensor,
    matrix: torch.Tensor,
    label: torch.Tensor,
    weight: torch.Tensor | None = None,
    log_counts: LogCounts = None,
    budget: int | None = None,
) -> torch.Tensor:
    """The weighted cross-entropy of `label` [I] over the scores states [I, d] @ matrix [M, d]^T; the mean by default.

    `log_counts` is how often a column enters the sum, as a logarithm: [M] for all instances, or a function from a
    slice of the instances to its [i, M] (called once for each, in order); None is once each. `budget` in bytes bounds
    what the scores may take (default: a quarter of the free memory).
    """
    if weight is None:
        weight = states.new_full((len(states),), 1 / len(states))
    rows = rows_at_once(len(matrix), states.device, budget)
    return SoftmaxLoss.apply(states, matrix, label, weight, log_counts, rows)


def full_softmax(network: UniModalNetwork, batch, budget: int | None = None) -> torch.Tensor:
    """Mean cross-entropy over the whole catalogue; a column that m items share enters the sum m times."""
    states, matrix = network.factors(batch)
    shared = None if network.log_shared is None else network.log_shared.to(states.dtype)
    return softmax_loss(states, matrix, network.columns(batch.target), None, shared, budget)


def sampled_softmax(
    network: UniModalNetwork,
    batch,
    label: torch.Tensor,
    weight: torch.Tensor | None,
    counts: Callable[[slice], torch.Tensor],
    budget: int | None = None,
) -> torch.Tensor:
    """Weighted cross-entropy of `label` [I] (items) against drawn negatives, `counts(part)` [i, N] times each.

    Draws equal to the label are masked out; the label itself enters once.
    """

    def log_counts(part: slice) -> torch.Tensor:
        return network.fold(counts(part).scatter_(1, label[part, None], 1.0)).log_()

    states, matrix = network.factors(batch)
    return softmax_loss(states, matrix, network.columns(label), weight, log_counts, budget)
