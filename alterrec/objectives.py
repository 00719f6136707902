"""Cross-entropy of the next item over a catalogue of any size: scores exist a block of instances at a time.

Loss and gradient of a block are computed together and its scores forgotten, so memory does not grow with instances x
catalogue. Negatives are multiplicities over scores that exist anyway: an item drawn m times enters the sum m times.
Under bfloat16 autocast the factors of the three products are rounded, of the matrix what is left without its mean column;
the softmax and all sums stay in the states' type.
I instances, N items, M columns of a network (see networks.py; M < N where items share a text), d dimensions.
"""

from collections.abc import Callable

import torch

from alterrec.batches import Batch
from alterrec.memory import rows_at_once
from alterrec.networks import UniModalNetwork

FAR = 1e12
Counts = torch.Tensor | Callable[[slice], torch.Tensor] | None


class SoftmaxLoss(torch.autograd.Function):
    """sum_i weight_i * (log sum_j counts_ij exp(states_i . matrix_j) - states_i . matrix_label_i)."""

    @staticmethod
    def forward(ctx, states, matrix, label, weight, counts: Counts, rows: int, factors: torch.dtype):
        to_states, to_matrix, total = torch.empty_like(states), torch.zeros_like(matrix), states.new_zeros(())
        states, matrix = states.to(factors), matrix.to(factors)
        for start in range(0, len(states), rows):
            part = slice(start, start + rows)
            logits = product(states[part], matrix.T, to_states.dtype)
            own = logits.gather(1, label[part, None])
            times = counts(part) if callable(counts) else counts
            peak = (logits if times is None else counted(logits, times)).amax(1, keepdim=True)
            share = logits.sub_(peak).clamp_(max=0).exp_()
            if times is not None:
                share *= times
            mass, scale = share.sum(1, keepdim=True), weight[part, None]
            total += (scale * (mass.log() + peak - own)).sum()
            share.mul_(scale / mass).scatter_add_(1, label[part, None], -scale)
            share = share.to(factors)
            to_states[part] = product(share, matrix, to_states.dtype)
            add_product(to_matrix, share.T, states[part])
        ctx.save_for_backward(to_states, to_matrix)
        return total

    @staticmethod
    def backward(ctx, gradient):
        to_states, to_matrix = ctx.saved_tensors
        return gradient * to_states, gradient * to_matrix, *[None] * 5


def counted(logits: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """The logits of the columns that count at least once, the others far below."""
    if logits.is_cuda:
        return torch.where(times > 0, logits, -FAR)
    return torch.add(logits, (times - 1).clamp_(max=0), alpha=FAR)  # several times as fast as a mask on a CPU


def product(a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """a @ b in `dtype`; a GPU's sums of bfloat16 products are never rounded to bfloat16."""
    if a.dtype == dtype:
        return a @ b
    return torch.mm(a, b, out_dtype=dtype) if a.is_cuda else (a @ b).to(dtype)


def add_product(total: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> None:
    """total += a @ b, without a temporary where the types are one."""
    if a.dtype == total.dtype:
        total.addmm_(a, b)
    else:
        total += product(a, b, total.dtype)


def softmax_loss(
    states: torch.Tensor,
    matrix: torch.Tensor,
    label: torch.Tensor,
    weight: torch.Tensor,
    counts: Counts = None,
) -> torch.Tensor:
    """The cross-entropy of `label` [I], weighted by `weight` [I], over the scores states [I, d] @ matrix [M, d]^T.

    `counts` is how often a column enters the sum: [M] for all instances, or a function from a slice of the instances
    to its [i, M] (called once for each, in order); None is once each.
    """
    rows, kind = rows_at_once(len(matrix), states.device), states.device.type
    factors = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype
    with torch.autocast(kind, enabled=False):
        if factors != states.dtype:  # the softmax does not see what all columns share, but rounding does
            matrix = matrix - matrix.mean(0)
        return SoftmaxLoss.apply(states, matrix, label, weight.to(states.dtype), counts, rows, factors)


def full_softmax(network: UniModalNetwork, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy over the whole catalogue; a column that m items share enters the sum m times."""
    states, matrix = network.factors(batch)
    return softmax_loss(states, matrix, network.columns(batch.target), batch.mean_over(), network.shared)


def sampled_softmax(
    network: UniModalNetwork,
    batch: Batch,
    label: torch.Tensor,
    weight: torch.Tensor,
    counts: Callable[[slice], torch.Tensor],
) -> torch.Tensor:
    """Weighted cross-entropy of `label` [I] (items) against drawn negatives, `counts(part)` [i, N] times each.

    Draws equal to the label are masked out; the label itself enters once.
    """

    def with_label(part: slice) -> torch.Tensor:
        return network.fold(counts(part).scatter_(1, label[part, None], 1.0))

    states, matrix = network.factors(batch)
    return softmax_loss(states, matrix, network.columns(label), weight, with_label)
