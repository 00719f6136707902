"""How two scores of an instance become one (paper, section 4.4): alpha * first + (1 - alpha) * second."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import torch

from alterrec.engine.windows import Batch, Windows
from alterrec.ranking.validation_hits import mean_hits
from alterrec.study.settings import BlendConfig

ALPHAS = tuple(round(0.1 * step, 1) for step in range(11))
BLENDS = ("raw", "zscore")


def standardise(scores: torch.Tensor) -> torch.Tensor:
    """[I, N] scores with mean 0 and standard deviation 1 per instance over the catalogue; a constant row becomes 0."""
    centred = scores - scores.mean(dim=1, keepdim=True)
    # many times as fast on a CPU as Tensor.std
    deviation = torch.linalg.vector_norm(centred, dim=1, keepdim=True) / math.sqrt(scores.shape[1])
    return centred / deviation.clamp(min=1e-12)


def blend_each(
    first: torch.Tensor, second: torch.Tensor, points: Iterable[tuple[str, float]]
) -> Iterator[tuple[tuple[str, float], torch.Tensor]]:
    """Yield each (kind, alpha) of `points` with its [I, N] blended scores; both parts are standardised at most once.

    With alpha 1 or 0 one part alone gives the scores, unchanged, so its ties stay ties.
    """
    parts = {"raw": (first, second)}
    for kind, alpha in points:
        if alpha in (0, 1):
            yield (kind, alpha), first if alpha == 1 else second
            continue
        if kind not in parts:
            parts[kind] = standardise(first), standardise(second)
        one, other = parts[kind]
        yield (kind, alpha), torch.lerp(other, one, alpha)


def blend(first: torch.Tensor, second: torch.Tensor, kind: str, alpha: float) -> torch.Tensor:
    """[I, N] blended scores; `kind` is "raw" or "zscore"."""
    return next(blend_each(first, second, [(kind, alpha)]))[1]


@dataclass(frozen=True)
class Blend:
    """A scorer whose "model" score is a blend of two of the scores that `parts(batch)` returns."""

    parts: Callable[[Batch], dict[str, torch.Tensor]]
    blend_parts: tuple[str, str]
    kind: str
    alpha: float

    def scores(self, batch: Batch) -> dict[str, torch.Tensor]:
        scores = self.parts(batch)
        first, second = (scores[part] for part in self.blend_parts)
        return scores | {"model": blend(first, second, self.kind, self.alpha)}


def candidates(config: BlendConfig) -> list[tuple[str, float]]:
    """Every (kind, alpha) that `config` allows: one point, or a grid if it says "validation"."""
    kinds = BLENDS if config.blend == "validation" else (config.blend,)
    alphas = ALPHAS if config.alpha == "validation" else (config.alpha,)
    return list(product(kinds, alphas))


def choose_blend(
    parts: Callable[[Batch], dict[str, torch.Tensor]],
    names: tuple[str, str],
    config: BlendConfig,
    validation: Windows,
) -> Blend:
    """The blend of the two named parts: as `config` states it or, for "validation", the one with the best Hits@K there.

    The first of equally good points wins.
    """
    grid = candidates(config)
    if len(grid) == 1:
        return Blend(parts, names, *grid[0])

    def all_blends(batch: Batch) -> Iterator[tuple[tuple[str, float], torch.Tensor]]:
        scores = parts(batch)
        return blend_each(scores[names[0]], scores[names[1]], grid)

    hits = mean_hits(all_blends, validation)
    return Blend(parts, names, *max(grid, key=hits.get))
