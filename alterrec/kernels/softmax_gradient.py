"""The softmax over counted items, its loss and its gradient as one Triton kernel that reads and writes the scores once.

PyTorch takes a dozen kernels for it, each of which reads and writes a matrix of instances x items.
"""

import torch
import triton
import triton.language as tl

LARGEST = 32768
"""The largest catalogue whose scores of one instance fit into registers."""
FAR_BELOW = tl.constexpr(-1e30)


@triton.jit
def softmax_gradient_kernel(loss, logits, counts, label, weight, columns, COUNTED: tl.constexpr,
                            OWN_COUNTS: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    place = row.to(tl.int64) * columns + at
    scores = tl.load(logits + place, mask=inside, other=FAR_BELOW)
    count = inside.to(tl.float32)
    if COUNTED:
        count = tl.load(counts + (place if OWN_COUNTS else at), mask=inside, other=0.0)
    label_column, scale = tl.load(label + row), tl.load(weight + row)
    is_label = at == label_column
    label_score = tl.sum(tl.where(is_label, scores, 0.0), 0)
    scores = tl.where(count > 0, scores, FAR_BELOW)
    peak = tl.max(scores, 0)
    terms = count * tl.exp(scores - peak)
    normaliser = tl.sum(terms, 0)
    tl.store(loss + row, scale * (tl.log(normaliser) + peak - label_score))
    gradient = terms * (scale / normaliser) - tl.where(is_label, scale, 0.0)
    tl.store(logits + place, gradient, mask=inside)


def softmax_gradient_(
    logits: torch.Tensor, counts: torch.Tensor | None, label: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Turn float32 `logits` [I, M] into the gradient of the loss by them, in place; return each instance's loss [I].

    The loss is weight * (log sum_j counts_j exp(logits_j) - logits_label). `counts` is [I, M], [M] for all instances, or
    None for 1; `label` [I] int64; `weight` [I] float32. M is at most LARGEST.
    """
    instances, columns = logits.shape
    loss = logits.new_empty(instances)
    block = triton.next_power_of_2(columns)
    softmax_gradient_kernel[(instances,)](
        loss, logits, counts, label.contiguous(), weight.contiguous(), columns,
        COUNTED=counts is not None, OWN_COUNTS=counts is not None and counts.dim() == 2,
        BLOCK=block, num_warps=min(16, max(1, block // 256)),
    )  # fmt: skip
    return loss
