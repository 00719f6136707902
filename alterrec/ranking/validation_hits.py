"""Hits@K of scores without storing a rank: the number that chooses the best epoch and the blend on validation."""

from collections.abc import Callable, Iterable

import torch

from alterrec.engine.memory import rows_at_once
from alterrec.engine.windows import Batch, Windows
from alterrec.ranking.metrics import K, expected_hits
from alterrec.ranking.ties import above_and_ties

NamedScores = dict[str, torch.Tensor] | Iterable[tuple[object, torch.Tensor]]
"""[I, N] scores by name, such as "model", "id" and "text", or one (name, scores) pair after the other."""


def mean_hits(score: Callable[[Batch], NamedScores], windows: Windows, k: int = K) -> dict:
    """Hits@k over all instances of the windows, for each name that `score` returns."""
    totals: dict = {}
    with torch.inference_mode():
        for batch in windows.in_order(rows_at_once(windows.catalogue_size, windows.flat.device)):
            scores = score(batch)
            for name, values in scores.items() if isinstance(scores, dict) else scores:
                hits = expected_hits(*above_and_ties(values, batch.target), k)
                totals[name] = totals.get(name, 0.0) + float(hits.sum())
    return {name: total / windows.instances for name, total in totals.items()}
