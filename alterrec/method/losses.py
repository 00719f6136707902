"""Cross-entropy of the next item over a catalogue of any size: scores exist a block of instances at a time.

The loss and the gradient of a block are computed together and its scores are then dropped, so memory does not grow with
instances x catalogue. Negatives are counts over scores that are computed anyway: an item drawn m times enters the sum m
times. Under bfloat16 autocast the factors of the three matrix products are rounded to bfloat16, after the mean column is
subtracted from the matrix; the softmax and all sums keep the type of the session vectors.
I instances, N items, M columns of a network (see networks.py; M < N where items share a text), d dimensions.
"""

from dataclasses import dataclass

import torch

from alterrec.engine.memory import rows_at_once
from alterrec.engine.windows import Batch
from alterrec.kernels.build import built_kernel
from alterrec.method.negatives import Negatives
from alterrec.method.networks import UniModalNetwork

FAR_BELOW = 1e12


class SoftmaxLoss(torch.autograd.Function):
    """sum_i weight_i * (log sum_j counts_ij exp(states_i . matrix_j) - states_i . matrix_label_i)."""

    @staticmethod
    def forward(ctx, states, matrix, label, weight, column_counts, rows: int, product_dtype: torch.dtype):
        grad_states, grad_matrix = torch.empty_like(states), torch.zeros_like(matrix)
        total = states.new_zeros(())
        states, matrix = states.to(product_dtype), matrix.to(product_dtype)
        for start in range(0, len(states), rows):
            block = slice(start, start + rows)
            logits = product(states[block], matrix.T, grad_states.dtype)  # [i, M]
            fixed = column_counts is None or isinstance(column_counts, torch.Tensor)
            counts = column_counts if fixed else column_counts.counts(block)  # None, [M] or [i, M]
            total += loss_and_gradient_(logits, counts, label[block], weight[block]).sum()
            gradient = logits.to(product_dtype)
            grad_states[block] = product(gradient, matrix, grad_states.dtype)
            add_product(grad_matrix, gradient.T, states[block])
        ctx.save_for_backward(grad_states, grad_matrix)
        return total

    @staticmethod
    def backward(ctx, gradient):
        grad_states, grad_matrix = ctx.saved_tensors
        return gradient * grad_states, gradient * grad_matrix, *[None] * 5


def loss_and_gradient_(
    logits: torch.Tensor, counts: torch.Tensor | None, label: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Each instance's weighted loss [i]. `logits` [i, M] become the gradient of their sum, in place.

    That gradient is weight * (softmax over the counted columns - one-hot of the label).
    """
    kernel = built_kernel("softmax_gradient") if logits.dtype == torch.float32 and logits.is_cuda else None
    if kernel and logits.shape[1] <= kernel.LARGEST:
        return kernel.softmax_gradient_(logits, counts, label, weight)
    label_logit = logits.gather(1, label[:, None])  # [i, 1]
    row_max = (logits if counts is None else where_counted(logits, counts)).amax(1, keepdim=True)
    probabilities = logits.sub_(row_max).clamp_(max=0).exp_()
    if counts is not None:
        probabilities *= counts
    normaliser, scale = probabilities.sum(1, keepdim=True), weight[:, None]
    probabilities.mul_(scale / normaliser).scatter_add_(1, label[:, None], -scale)
    return (scale * (normaliser.log() + row_max - label_logit)).squeeze(1)


def where_counted(logits: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """The logits of the columns that count at least once, the others far below."""
    if logits.is_cuda:
        return torch.where(counts > 0, logits, -FAR_BELOW)
    # several times as fast as a mask on a CPU
    return torch.add(logits, (counts - 1).clamp_(max=0), alpha=FAR_BELOW)


def product(a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """a @ b in `dtype`; a GPU never rounds the sums of bfloat16 products to bfloat16."""
    if a.dtype == dtype:
        return a @ b
    return torch.mm(a, b, out_dtype=dtype) if a.is_cuda else (a @ b).to(dtype)


def add_product(total: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> None:
    """total += a @ b, without a temporary matrix where the types are equal."""
    if a.dtype == total.dtype:
        total.addmm_(a, b)
    else:
        total += product(a, b, total.dtype)


def softmax_loss(
    states: torch.Tensor,
    matrix: torch.Tensor,
    label: torch.Tensor,
    weight: torch.Tensor,
    column_counts: torch.Tensor | Negatives | None = None,
) -> torch.Tensor:
    """The cross-entropy of `label` [I], weighted by `weight` [I], over the scores states [I, d] @ matrix [M, d]^T.

    `column_counts` is how often a column enters the sum: [M] for all instances, or an object whose `counts(rows)` gives
    [i, M] for a block of them; None is once each.
    """
    rows, kind = rows_at_once(len(matrix), states.device), states.device.type
    product_dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype
    with torch.autocast(kind, enabled=False):
        if product_dtype != states.dtype:
            # a softmax does not change with what all columns share, but rounding does
            matrix = matrix - matrix.mean(0)
        return SoftmaxLoss.apply(
            states, matrix, label, weight.to(states.dtype), column_counts, rows, product_dtype
        )


def full_softmax(network: UniModalNetwork, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy over the whole catalogue; a column that m items share enters the sum m times."""
    states, matrix = network.encode(batch)
    label = network.columns(batch.target)
    return softmax_loss(states, matrix, label, batch.mean_over(), network.items_per_column)


@dataclass(frozen=True)
class LabelAndNegatives:
    """The sampled softmax's sum: an instance's negatives without its label, and the label once."""

    network: UniModalNetwork
    label: torch.Tensor
    negatives: Negatives

    def counts(self, rows: slice) -> torch.Tensor:
        """[i, M] by column."""
        of_items = self.negatives.counts(rows).scatter_(1, self.label[rows, None], 1.0)
        return self.network.fold(of_items)


def sampled_softmax(
    network: UniModalNetwork, batch: Batch, label: torch.Tensor, weight: torch.Tensor, negatives: Negatives
) -> torch.Tensor:
    """Cross-entropy of `label` [I] (items) against drawn negatives, weighted by `weight` [I].

    Draws equal to the label are masked out; the label itself enters the sum once.
    """
    states, matrix = network.encode(batch)
    counted = LabelAndNegatives(network, label, negatives)
    return softmax_loss(states, matrix, network.columns(label), weight, counted)
