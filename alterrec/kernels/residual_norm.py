"""LayerNorm(x + dropout(y + bias)) as one Triton kernel forward and one backward, instead of four and seven of PyTorch.

y may be left out, which is LayerNorm alone. The backward kernel draws the same dropout again. No two programs write to one
place, so the result is the same in every run: gradients that are sums over all rows (of the gain and of both biases) are
first summed over ROWS rows each, then over these sums.
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
def forward_kernel(out, total, mean, rstd, x, y, y_bias, gain, bias, seed, rate, eps, D: tl.constexpr,
                   BLOCK: tl.constexpr, ADDS: tl.constexpr, BIASED: tl.constexpr, DROPOUT: tl.constexpr):  # fmt: skip
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    mask = at < D
    place = row.to(tl.int64) * D + at
    z = tl.load(x + place, mask=mask, other=0.0).to(tl.float32)
    if ADDS:
        added = tl.load(y + place, mask=mask, other=0.0).to(tl.float32)
        if BIASED:
            added += tl.load(y_bias + at, mask=mask, other=0.0)
        if DROPOUT:
            added = added * kept_after_dropout(seed, row, at, D, rate)
        z += added
        tl.store(total + place, z, mask=mask)
    m = tl.sum(z, 0) / D
    centred = tl.where(mask, z - m, 0.0)
    r = 1.0 / tl.sqrt(tl.sum(centred * centred, 0) / D + eps)
    result = centred * r * tl.load(gain + at, mask=mask) + tl.load(bias + at, mask=mask)
    tl.store(out + place, result, mask=mask)
    tl.store(mean + row, m)
    tl.store(rstd + row, r)


@triton.jit
def backward_kernel(grad_x, grad_y, sums, grad_out, total, mean, rstd, gain, seed, rate, count, D: tl.constexpr,
                    BLOCK: tl.constexpr, ROWS: tl.constexpr, ADDS: tl.constexpr, BIASED: tl.constexpr,
                    DROPOUT: tl.constexpr):  # fmt: skip
    program = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    mask = at < D
    weight = tl.load(gain + at, mask=mask, other=0.0)
    grad_gain, grad_bias = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    grad_y_bias = tl.zeros([BLOCK], tl.float32)
    for i in range(ROWS):
        row = program * ROWS + i
        if row < count:
            place = row.to(tl.int64) * D + at
            grad = tl.load(grad_out + place, mask=mask, other=0.0).to(tl.float32)
            r = tl.load(rstd + row)
            normalised = (
                tl.load(total + place, mask=mask, other=0.0).to(tl.float32) - tl.load(mean + row)
            ) * r
            normalised = tl.where(mask, normalised, 0.0)
            grad_gain += grad * normalised
            grad_bias += grad
            scaled = grad * weight
            grad_z = (scaled - tl.sum(scaled, 0) / D - normalised * (tl.sum(scaled * normalised, 0) / D)) * r
            tl.store(grad_x + place, grad_z, mask=mask)
            if ADDS:
                if DROPOUT:
                    grad_z = grad_z * kept_after_dropout(seed, row, at, D, rate)
                tl.store(grad_y + place, grad_z, mask=mask)
                if BIASED:
                    grad_y_bias += grad_z
    sums += program * (3 if BIASED else 2) * D + at
    tl.store(sums, grad_gain, mask=mask)
    tl.store(sums + D, grad_bias, mask=mask)
    if BIASED:
        tl.store(sums + 2 * D, grad_y_bias, mask=mask)


class ResidualNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, y_bias, gain, bias, rate: float, eps: float):
        rows, d = x.shape
        adds, biased = y is not None, y_bias is not None
        # drawn on the device: a replayed graph draws another
        seed = torch.randint(2**31, (1,), device=x.device) if rate > 0 else None
        out = torch.empty(rows, d, device=x.device)
        total = torch.empty(rows, d, device=x.device) if adds else x
        mean, rstd = (torch.empty(rows, device=x.device) for _ in range(2))
        ctx.options = {
            "D": d,
            "BLOCK": triton.next_power_of_2(d),
            "ADDS": adds,
            "BIASED": biased,
            "DROPOUT": rate > 0,
        }
        forward_kernel[(rows,)](
            out, total, mean, rstd, x, y, y_bias, gain, bias, seed, rate, eps, **ctx.options
        )
        ctx.save_for_backward(total, mean, rstd, gain, seed)
        ctx.rate, ctx.x_type, ctx.y_type = rate, x.dtype, y.dtype if adds else None
        return out

    @staticmethod
    def backward(ctx, grad_out):
        total, mean, rstd, gain, seed = ctx.saved_tensors
        rows, d = total.shape
        programs = triton.cdiv(rows, ROWS)
        grad_x = torch.empty(rows, d, dtype=ctx.x_type, device=total.device)
        grad_y = torch.empty(rows, d, dtype=ctx.y_type, device=total.device) if ctx.options["ADDS"] else None
        sums = torch.empty(programs, 3 if ctx.options["BIASED"] else 2, d, device=total.device)
        backward_kernel[(programs,)](
            grad_x, grad_y, sums, grad_out.contiguous(), total, mean, rstd, gain, seed, ctx.rate, rows,
            ROWS=ROWS, **ctx.options,
        )  # fmt: skip
        grad_gain, grad_bias, *grad_y_bias = sum_rows(sums.flatten(1)).view(-1, d)
        return grad_x, grad_y, grad_y_bias[0] if grad_y_bias else None, grad_gain, grad_bias, None, None


def sum_rows(matrix: torch.Tensor) -> torch.Tensor:
    """[k] the sum of the rows of [n, k]. A product with ones takes a GPU less time than a reduction of the long side."""
    return matrix.T @ matrix.new_ones(len(matrix))


def residual_norm(
    x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor | None, norm: torch.nn.LayerNorm, rate: float
) -> torch.Tensor:
    """[P, d] float32: norm(x + dropout(y + bias)) of x and y [P, d], dropout with probability `rate`."""
    return ResidualNorm.apply(x.contiguous(), y.contiguous(), bias, norm.weight, norm.bias, rate, norm.eps)


def layer_norm(x: torch.Tensor, norm: torch.nn.LayerNorm) -> torch.Tensor:
    """[P, d] float32: norm(x) of x [P, d]."""
    return ResidualNorm.apply(x.contiguous(), None, None, norm.weight, norm.bias, 0.0, norm.eps)
