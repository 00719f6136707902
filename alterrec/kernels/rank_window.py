"""Draws items from a window of ranks in one Triton kernel, without sorting: a row of scores is read once into registers.

The k-th largest value of a row is found bit by bit: counting the row once tells whether a bit of it is set. The search ends
once a count equals k, which for scores of a network takes about half of the 32 bits.
"""

import torch
import triton
import triton.language as tl

LARGEST = 2**15
"""The longest row, in items, that fits into registers."""


@triton.jit
def among(keys, item, threshold, end):
    """[BLOCK] whether a key is above the threshold, or is equal to it and of an item before `end`."""
    return (keys > threshold) | ((keys == threshold) & (item < end))


@triton.jit
def boundary(keys, item, k, BLOCK: tl.constexpr):
    """(threshold, end) with exactly k of the keys (uint32 [BLOCK]) `among` them, none smaller than any other key."""
    threshold = tl.full((), 0, tl.uint32)
    bit = tl.full((), 1 << 31, tl.uint32)
    count = tl.full((), BLOCK, tl.int32)
    while (bit > 0) & (count != k):
        reached = tl.sum((keys >= (threshold | bit)).to(tl.int32))
        if reached >= k:
            threshold = threshold | bit
            count = reached
        bit = bit >> 1
    # no count was k: take the first items with the k-th key until there are k
    end = tl.where(count == k, BLOCK, 0)
    step = tl.where(count == k, 0, BLOCK // 2)
    while step > 0:
        if tl.sum(among(keys, item, threshold, end + step).to(tl.int32)) <= k:
            end = end + step
        step = step >> 1
    return threshold, end


@triton.jit
def add_from_window_kernel(counts, scores, seed, N, k1, k2, draws, BLOCK: tl.constexpr):
    """One row. The largest `draws` random keys of the window are drawn."""
    row = tl.program_id(0).to(tl.int64)
    item = tl.arange(0, BLOCK)
    score = tl.load(scores + row * N + item, mask=item < N, other=0.0)
    bits = score.to(tl.float32).to(tl.uint32, bitcast=True)
    # integers in the order of the floats; the rest of the block is 0, which is below all of them
    keys = tl.where(item < N, bits ^ tl.where(bits >> 31 == 1, 0xFFFFFFFF, 1 << 31), 0)
    last, last_end = boundary(keys, item, k2, BLOCK)
    best, best_end = boundary(keys, item, k1, BLOCK)
    window = among(keys, item, last, last_end) & ~among(keys, item, best, best_end)

    a, b, c, d = tl.randint4x(tl.load(seed), row * (BLOCK // 4) + tl.arange(0, BLOCK // 4))
    # not can_reorder: an item's key has to be the same one in every layout that the compiler chooses for it
    random = tl.reshape(tl.join(tl.join(a, b), tl.join(c, d)), [BLOCK])
    keys = tl.where(window, random | 1, 0)
    last, last_end = boundary(keys, item, draws, BLOCK)
    drawn = among(keys, item, last, last_end)
    before = tl.load(counts + row * N + item, mask=drawn, other=0.0)
    tl.store(counts + row * N + item, before + 1.0, mask=drawn)


def add_from_window(counts: torch.Tensor, scores: torch.Tensor, k1: int, k2: int, draws: int) -> torch.Tensor:
    """Add 1 to `counts` [I, N], in place, at `draws` items of each row's ranks k1 + 1..k2 by `scores` [I, N].

    The items are drawn without replacement, every subset equally likely. Scores rank as float32; items with equal scores may
    rank in any order. A NaN ranks above infinity, or below minus infinity where its sign bit is set.
    """
    items = scores.shape[1]
    if not (0 <= k1 < k2 <= items <= LARGEST and 0 <= draws <= k2 - k1):
        raise ValueError(f"{draws} draws from ranks {k1 + 1}..{k2} of {items} items (at most {LARGEST})")
    # drawn on the device: a replayed graph draws another
    seed = torch.randint(2**62, (1,), device=scores.device)
    block = max(1024, triton.next_power_of_2(items))
    # 32 items and 64 registers a thread: 32 warps at once on a multiprocessor, and nothing spilt while counting
    options = {"num_warps": block // 1024, "maxnreg": 64}
    with torch.cuda.device_of(scores):
        add_from_window_kernel[(len(scores),)](
            counts, scores.contiguous(), seed, items, k1, k2, draws, BLOCK=block, **options
        )
    return counts
