"""Negatives of the alternation (paper, section 4.2), as counts over the catalogue [I, N] instead of index lists."""

import logging
from functools import cache
from subprocess import SubprocessError
from types import ModuleType

import torch

logger = logging.getLogger(__name__)


def window_bounds(k1: int, k2: int, items: int) -> tuple[int, int]:
    """The rank window for a catalogue of `items`: k2 is cut to half the catalogue, and must stay above k1."""
    k2 = min(k2, items // 2)
    if k2 <= k1:
        raise ValueError(
            f"no ranks between k1 = {k1} and k2 = {k2} in a catalogue of {items} items: lower k1"
        )
    return k1, k2


def draw_uniform(instances: int, items: int, draws: int, device: torch.device) -> torch.Tensor:
    """[I, N] how often each item came up in `draws` uniform draws with replacement."""
    drawn = torch.randint(items, (instances, draws), device=device)
    return torch.zeros(instances, items, device=device).scatter_add_(
        1, drawn, torch.ones((), device=device).expand_as(drawn)
    )


def rank_window(scores: torch.Tensor, k1: int, k2: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The items on each row's ranks 1..k2 [I, k2], in no order, and which places of these the ranks 1..k1 have [I, k1].

    Of items on one score either may rank higher.
    """
    values, items = scores.topk(k2, dim=1, sorted=False)
    return items, values.topk(k1, dim=1, sorted=False).indices


def draw_from(items: torch.Tensor, excluded: torch.Tensor, draws: int) -> torch.Tensor:
    """[I, draws] of each row's `items`, but for the places `excluded`: no item twice, every subset equally likely."""
    keys = torch.rand(items.shape, device=items.device).scatter_(1, excluded, -1.0)
    return items.gather(1, keys.topk(draws, dim=1, sorted=False).indices)


@cache
def built_kernel() -> ModuleType | None:
    """alterrec/window_kernel.py, or None where Triton cannot build kernels."""
    try:
        import triton

        triton.runtime.driver.active.get_current_target()
        from alterrec import window_kernel
    except (ImportError, OSError, RuntimeError, SubprocessError) as error:
        logger.warning(
            "hard negatives are drawn by topk, which is slow on a GPU, since Triton cannot build a kernel (%s): "
            "install triton, a C compiler and Python's headers",
            error,
        )
        return None
    return window_kernel


def draw_hard(scores: torch.Tensor, k1: int, k2: int) -> torch.Tensor:
    """[I, N] counts of k2 - k1 negatives: half from the other network's ranks k1 + 1..k2, half uniform."""
    half = (k2 - k1) // 2
    counts = draw_uniform(len(scores), scores.shape[1], k2 - k1 - half, scores.device)
    kernel = built_kernel() if scores.is_cuda else None
    if kernel and scores.shape[1] <= kernel.LARGEST:
        return kernel.add_from_window(counts, scores, k1, k2, half)
    drawn = draw_from(*rank_window(scores, k1, k2), half)
    return counts.scatter_add_(1, drawn, torch.ones((), device=scores.device).expand_as(drawn))
