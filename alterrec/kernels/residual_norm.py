"""LayerNorm(x + dropout(y)) as one Triton kernel forward and one backward, instead of three and five of PyTorch.

The backward kernel draws the same dropout again. No two programs write to one place, so the result is the same in every
run: the gradients of gain and bias are first summed over ROWS rows each, then over these sums.
"""

import torch
import triton
import triton.language as tl

ROWS = 8
"""Rows of a program of the backward kernel."""
WIDEST = 4096
"""The widest row that fits into registers."""


@triton.jit
def kept_after_dropout(seed, row, at, D: tl.constexpr, rate):
    random = tl.rand(tl.load(seed), row * D + at)
    return tl.where(random >= rate, 1.0 / (1.0 - rate), 0.0)


@triton.jit
def forward_kernel(out, total, mean, rstd, x, y, gain, bias, seed, rate, eps, D: tl.constexpr, BLOCK: tl.constexpr,
                   DROPOUT: tl.constexpr):  # fmt: skip
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    mask = at < D
    place = row.to(tl.int64) * D + at
    added = tl.load(y + place, mask=mask, other=0.0).to(tl.float32)
    if DROPOUT:
        added = added * kept_after_dropout(seed, row, at, D, rate)
    z = tl.load(x + place, mask=mask, other=0.0).to(tl.float32) + added
    m = tl.sum(z, 0) / D
    centred = tl.where(mask, z - m, 0.0)
    r = 1.0 / tl.sqrt(tl.sum(centred * centred, 0) / D + eps)
    result = centred * r * tl.load(gain + at, mask=mask) + tl.load(bias + at, mask=mask)
    tl.store(out + place, result, mask=mask)
    tl.store(total + place, z, mask=mask)
    tl.store(mean + row, m)
    tl.store(rstd + row, r)


@triton.jit
def backward_kernel(grad_x, grad_y, grad_affine, grad_out, total, mean, rstd, gain, seed, rate, count, D: tl.constexpr,
                    BLOCK: tl.constexpr, ROWS: tl.constexpr, DROPOUT: tl.constexpr):  # fmt: skip
    program = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    mask = at < D
    weight = tl.load(gain + at, mask=mask, other=0.0)
    grad_gain, grad_bias = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    for i in range(ROWS):
        row = program * ROWS + i
        if row < count:
            place = row.to(tl.int64) * D + at
            grad = tl.load(grad_out + place, mask=mask, other=0.0).to(tl.float32)
            r = tl.load(rstd + row)
            normalised = (tl.load(total + place, mask=mask, other=0.0) - tl.load(mean + row)) * r
            normalised = tl.where(mask, normalised, 0.0)
            grad_gain += grad * normalised
            grad_bias += grad
            scaled = grad * weight
            grad_z = (scaled - tl.sum(scaled, 0) / D - normalised * (tl.sum(scaled * normalised, 0) / D)) * r
            tl.store(grad_x + place, grad_z, mask=mask)
            if DROPOUT:
                grad_z = grad_z * kept_after_dropout(seed, row, at, D, rate)
            tl.store(grad_y + place, grad_z, mask=mask)
    tl.store(grad_affine + program * 2 * D + at, grad_gain, mask=mask)
    tl.store(grad_affine + program * 2 * D + D + at, grad_bias, mask=mask)


class ResidualNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, gain, bias, rate: float, eps: float):
        rows, d = x.shape
        # drawn on the device: a replayed graph draws another
        seed = torch.randint(2**31, (1,), device=x.device)
        out, total = (torch.empty(rows, d, device=x.device) for _ in range(2))
        mean, rstd = (torch.empty(rows, device=x.device) for _ in range(2))
        ctx.options = {"D": d, "BLOCK": triton.next_power_of_2(d), "DROPOUT": rate > 0}
        forward_kernel[(rows,)](out, total, mean, rstd, x, y, gain, bias, seed, rate, eps, **ctx.options)
        ctx.save_for_backward(total, mean, rstd, gain, seed)
        ctx.rate, ctx.types = rate, (x.dtype, y.dtype)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        total, mean, rstd, gain, seed = ctx.saved_tensors
        rows, d = total.shape
        programs = triton.cdiv(rows, ROWS)
        grad_x, grad_y = (torch.empty(rows, d, dtype=kind, device=total.device) for kind in ctx.types)
        grad_affine = torch.empty(programs, 2, d, device=total.device)
        backward_kernel[(programs,)](
            grad_x, grad_y, grad_affine, grad_out.contiguous(), total, mean, rstd, gain, seed, ctx.rate, rows,
            ROWS=ROWS, **ctx.options,
        )  # fmt: skip
        grad_gain, grad_bias = grad_affine.sum(0)
        return grad_x, grad_y, grad_gain, grad_bias, None, None


def residual_norm(x: torch.Tensor, y: torch.Tensor, norm: torch.nn.LayerNorm, rate: float) -> torch.Tensor:
    """[P, d] float32: norm(x + dropout(y)) of x and y [P, d], dropout with probability `rate`."""
    return ResidualNorm.apply(x.contiguous(), y.contiguous(), norm.weight, norm.bias, rate, norm.eps)
