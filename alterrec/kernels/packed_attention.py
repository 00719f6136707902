"""Causal attention over many short rows as one Triton kernel: rows of one batch lie behind each other without gaps.

A program handles one head of a tile, which is at most 64 neighbouring tokens of whole rows. Tokens of other rows and later
tokens are masked. The backward pass computes the probabilities again instead of keeping them, and draws the same dropout.
No two programs write to one place, so the result is the same in every run.
"""

import torch
import triton
import triton.language as tl

TILE = 64
"""Tokens of a tile, so the longest row."""


def tiles(groups: tuple[tuple[int, int], ...], device: torch.device) -> torch.Tensor:
    """[2, n]: first token and number of tokens of every tile; `groups` is (R, T) of each group of R rows of length T."""
    found, start = [], 0
    for rows, width in groups:
        together = TILE // width
        for first in range(0, rows, together):
            found.append((start + first * width, min(together, rows - first) * width))
        start += rows * width
    return torch.tensor(found).T.contiguous().to(device)


@triton.jit
def attention_tile(qkv, place, tiles, tile_count, head, HEADS: tl.constexpr, D: tl.constexpr, scale,
                   TILE: tl.constexpr, CHUNK: tl.constexpr, PRECISION: tl.constexpr):  # fmt: skip
    """Probabilities [TILE, TILE] of one head of a tile, before dropout, and where its tokens are."""
    tile = tl.program_id(0)
    start, count = tl.load(tiles + tile), tl.load(tiles + tile_count + tile)
    i = tl.arange(0, TILE)
    inside = i < count
    token = (start + i).to(tl.int64)
    row = token - tl.load(place + token, mask=inside, other=0)  # the first token of its row
    scores = tl.zeros([TILE, TILE], tl.float32)
    for c in tl.static_range(0, D, CHUNK):
        at = c + tl.arange(0, CHUNK)
        mask = inside[:, None] & (at < D)[None, :]
        address = token[:, None] * (3 * HEADS * D) + head * D + at[None, :]
        q = tl.load(qkv + address, mask=mask, other=0.0).to(tl.float32)
        k = tl.load(qkv + address + HEADS * D, mask=mask, other=0.0).to(tl.float32)
        scores += tl.dot(q, tl.trans(k), input_precision=PRECISION)
    allowed = (row[:, None] == row[None, :]) & (i[None, :] <= i[:, None]) & inside[:, None] & inside[None, :]
    scores = tl.where(allowed, scores * scale, -1e30)
    probabilities = tl.where(allowed, tl.exp(scores - tl.max(scores, 1)[:, None]), 0.0)
    total = tl.sum(probabilities, 1)
    probabilities = probabilities / tl.where(total > 0, total, 1.0)[:, None]
    return probabilities, token, inside


@triton.jit
def kept_after_dropout(seed, head, HEADS: tl.constexpr, rate, TILE: tl.constexpr):
    """[TILE, TILE] 1 / (1 - rate) where a probability is kept, else 0."""
    i = tl.arange(0, TILE)
    program = tl.program_id(0) * HEADS + head
    random = tl.rand(tl.load(seed), program * TILE * TILE + i[:, None] * TILE + i[None, :])
    return tl.where(random >= rate, 1.0 / (1.0 - rate), 0.0)


@triton.jit
def forward_kernel(out, qkv, place, tiles, tile_count, seed, scale, rate, HEADS: tl.constexpr, D: tl.constexpr,
                   TILE: tl.constexpr, CHUNK: tl.constexpr, DROPOUT: tl.constexpr, PRECISION: tl.constexpr):  # fmt: skip
    if tl.load(tiles + tile_count + tl.program_id(0)) == 0:  # a tile that is not used
        return
    head = tl.program_id(1)
    weights, token, inside = attention_tile(
        qkv, place, tiles, tile_count, head, HEADS, D, scale, TILE, CHUNK, PRECISION
    )
    if DROPOUT:
        weights = weights * kept_after_dropout(seed, head, HEADS, rate, TILE)
    for c in tl.static_range(0, D, CHUNK):
        at = c + tl.arange(0, CHUNK)
        mask = inside[:, None] & (at < D)[None, :]
        address = token[:, None] * (3 * HEADS * D) + (2 * HEADS + head) * D + at[None, :]
        v = tl.load(qkv + address, mask=mask, other=0.0).to(tl.float32)
        mixed = tl.dot(weights, v, input_precision=PRECISION)
        tl.store(out + token[:, None] * (HEADS * D) + head * D + at[None, :], mixed, mask=mask)


@triton.jit
def backward_kernel(grad_qkv, grad_out, qkv, place, tiles, tile_count, seed, scale, rate, HEADS: tl.constexpr,
                    D: tl.constexpr, TILE: tl.constexpr, CHUNK: tl.constexpr, DROPOUT: tl.constexpr,
                    PRECISION: tl.constexpr):  # fmt: skip
    if tl.load(tiles + tile_count + tl.program_id(0)) == 0:  # a tile that is not used
        return
    head = tl.program_id(1)
    probabilities, token, inside = attention_tile(
        qkv, place, tiles, tile_count, head, HEADS, D, scale, TILE, CHUNK, PRECISION
    )
    weights = probabilities
    if DROPOUT:
        kept = kept_after_dropout(seed, head, HEADS, rate, TILE)
        weights = probabilities * kept
    grad_weights = tl.zeros([TILE, TILE], tl.float32)
    for c in tl.static_range(0, D, CHUNK):
        at = c + tl.arange(0, CHUNK)
        mask = inside[:, None] & (at < D)[None, :]
        address = token[:, None] * (3 * HEADS * D) + (2 * HEADS + head) * D + at[None, :]
        v = tl.load(qkv + address, mask=mask, other=0.0).to(tl.float32)
        grad = tl.load(grad_out + token[:, None] * (HEADS * D) + head * D + at[None, :], mask=mask, other=0.0)
        grad = grad.to(tl.float32)
        grad_weights += tl.dot(grad, tl.trans(v), input_precision=PRECISION)
        tl.store(grad_qkv + address, tl.dot(tl.trans(weights), grad, input_precision=PRECISION), mask=mask)
    if DROPOUT:
        grad_weights = grad_weights * kept
    total = tl.sum(grad_weights * probabilities, 1)
    grad_scores = probabilities * (grad_weights - total[:, None]) * scale
    for c in tl.static_range(0, D, CHUNK):
        at = c + tl.arange(0, CHUNK)
        mask = inside[:, None] & (at < D)[None, :]
        address = token[:, None] * (3 * HEADS * D) + head * D + at[None, :]
        q = tl.load(qkv + address, mask=mask, other=0.0).to(tl.float32)
        k = tl.load(qkv + address + HEADS * D, mask=mask, other=0.0).to(tl.float32)
        tl.store(grad_qkv + address, tl.dot(grad_scores, k, input_precision=PRECISION), mask=mask)
        grad_k = tl.dot(tl.trans(grad_scores), q, input_precision=PRECISION)
        tl.store(grad_qkv + address + HEADS * D, grad_k, mask=mask)


class PackedAttention(torch.autograd.Function):
    """See `packed_attention`."""

    @staticmethod
    def forward(ctx, qkv, place, tiles, rate: float):
        # drawn on the device: a replayed graph draws another
        seed = torch.randint(2**31, (1,), device=qkv.device)
        positions, _, heads, size = qkv.shape
        ctx.options = {
            "HEADS": heads,
            "D": size,
            "TILE": TILE,
            "CHUNK": 64 if size > 32 else 32,
            "DROPOUT": rate > 0,
            "PRECISION": "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32",
        }
        ctx.numbers, ctx.grid = (tiles.shape[1], seed, size**-0.5, rate), (tiles.shape[1], heads)
        ctx.save_for_backward(qkv, place, tiles)
        out = qkv.new_empty(positions, heads * size)
        count, *rest = ctx.numbers
        forward_kernel[ctx.grid](out, qkv, place, tiles, count, *rest, **ctx.options)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        qkv, place, tiles = ctx.saved_tensors
        grad_qkv = torch.empty_like(qkv)
        count, *rest = ctx.numbers
        backward_kernel[ctx.grid](
            grad_qkv, grad_out.contiguous(), qkv, place, tiles, count, *rest, **ctx.options
        )
        return grad_qkv, None, None, None


def packed_attention(
    qkv: torch.Tensor, place: torch.Tensor, tiles: torch.Tensor, rate: float
) -> torch.Tensor:
    """[P, heads * D] causal attention of qkv [P, 3, heads, D] within rows; sums are float32.

    `place` [P] is the position of every token in its row. `tiles` [2, n] holds the first token and the number of tokens of
    tiles that cover all tokens and cut no row; both are int64. `rate` is the dropout of the attention probabilities.
    """
    return PackedAttention.apply(qkv.contiguous(), place, tiles, rate)
