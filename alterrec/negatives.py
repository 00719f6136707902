"""Negatives of the alternation (paper, section 4.2), as counts over the catalogue [I, N] instead of index lists."""

import torch


def window_bounds(k1: int, k2: int, items: int) -> tuple[int, int]:
    """The rank window for a catalogue of `items`: k2 is cut to half the catalogue, and must stay above k1."""
    k2 = min(k2, items // 2)
    if k2 <= k1:
        raise ValueError(f"no ranks between k1 = {k1} and k2 = {k2} in a catalogue of {items} items: lower k1")
    return k1, k2


def draw_uniform(instances: int, items: int, draws: int, device: torch.device) -> torch.Tensor:
    """[I, N] how often each item came up in `draws` uniform draws with replacement."""
    drawn = torch.randint(items, (instances, draws), device=device)
    return torch.zeros(instances, items, device=device).scatter_add_(1, drawn, torch.ones((), device=device).expand_as(drawn))


def first_ranks(scores: torch.Tensor, k: int) -> torch.Tensor:
    """[I, N] True for each row's k highest scores; of equal scores the lower item index ranks higher."""
    if k == 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    threshold = scores.kthvalue(scores.shape[1] - k + 1, dim=1, keepdim=True).values
    above, tied = scores > threshold, scores == threshold
    left = k - above.sum(1, keepdim=True)
    if bool((tied.sum(1, keepdim=True) == left).all()):
        return above | tied
    return above | (tied & (tied.cumsum(1) <= left))


def rank_window(scores: torch.Tensor, k1: int, k2: int) -> torch.Tensor:
    """[I, N] True for the k2 - k1 items that follow each row's k1 best."""
    return first_ranks(scores, k2) & ~first_ranks(scores, k1)


def draw_from(window: torch.Tensor, draws: int) -> torch.Tensor:
    """[I, N] True for `draws` items of each row's `window`, without replacement, every subset equally likely."""
    keys = torch.rand(window.shape, device=window.device, dtype=torch.float64).masked_fill_(~window, 2.0)
    return keys <= keys.kthvalue(draws, dim=1, keepdim=True).values


def draw_hard(scores: torch.Tensor, k1: int, k2: int) -> torch.Tensor:
    """[I, N] counts of k2 - k1 negatives: half from the window of the other network's `scores`, half uniform."""
    half = (k2 - k1) // 2
    counts = draw_uniform(len(scores), scores.shape[1], k2 - k1 - half, scores.device)
    return counts + draw_from(rank_window(scores, k1, k2), half) if half else counts
