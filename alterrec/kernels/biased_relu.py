"""relu(x + bias) as one Triton kernel forward and one backward; the backward also sums the gradient of the bias.

No two programs write to one place, so the result is the same in every run.
"""

import torch
import triton
import triton.language as tl

from alterrec.kernels.residual_norm import sum_rows

ROWS = 8
"""Rows of a program of the backward kernel."""
COLUMNS = 512
"""Columns of a program."""


@triton.jit
def forward_kernel(out, x, bias, columns, COLUMNS: tl.constexpr):
    at = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    mask = at < columns
    place = tl.program_id(0).to(tl.int64) * columns + at
    shifted = tl.load(x + place, mask=mask).to(tl.float32) + tl.load(bias + at, mask=mask)
    tl.store(out + place, tl.maximum(shifted, 0.0), mask=mask)


@triton.jit
def backward_kernel(grad_x, sums, grad_out, out, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    program = tl.program_id(0)
    at = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    mask = at < columns
    total = tl.zeros([COLUMNS], tl.float32)
    for i in range(ROWS):
        row = program * ROWS + i
        if row < rows:
            place = row.to(tl.int64) * columns + at
            passes = tl.load(out + place, mask=mask, other=0.0) > 0
            grad = tl.where(passes, tl.load(grad_out + place, mask=mask, other=0.0).to(tl.float32), 0.0)
            tl.store(grad_x + place, grad, mask=mask)
            total += grad
    tl.store(sums + program * columns + at, total, mask=mask)


class BiasedRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, bias):
        rows, columns = x.shape
        out = torch.empty_like(x)
        forward_kernel[(rows, triton.cdiv(columns, COLUMNS))](out, x, bias, columns, COLUMNS=COLUMNS)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved_tensors
        rows, columns = out.shape
        programs = triton.cdiv(rows, ROWS)
        grad_x, sums = torch.empty_like(out), torch.empty(programs, columns, device=out.device)
        backward_kernel[(programs, triton.cdiv(columns, COLUMNS))](
            grad_x, sums, grad_out.contiguous(), out, rows, columns, ROWS=ROWS, COLUMNS=COLUMNS
        )
        return grad_x, sum_rows(sums)


def biased_relu(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """[P, k] relu(x + bias) of x [P, k] and bias [k]."""
    return BiasedRelu.apply(x.contiguous(), bias)
