"""Rank every validation and test target in the whole catalogue, a block of instances at a time.

A rank is stored as two counts (see `ties.py`), from which every metric is computed later.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pandas as pd
import torch

from alterrec.data.dataset import Dataset
from alterrec.engine.contract import Scorer
from alterrec.engine.memory import rows_at_once
from alterrec.engine.windows import Batch, Windows
from alterrec.errors import UserError
from alterrec.ranking.blending import ALPHAS, BLENDS, blend_each
from alterrec.ranking.instances import instance_rows
from alterrec.ranking.metrics import K
from alterrec.ranking.ties import above_and_ties, above_and_ties_unseen

TOP = K  # length of a stored list of best items
KEYS = ["split", "session", "position"]
NO_ALPHA_GRID = {
    "split": str,
    "blend": str,
    "alpha": float,
    "session": np.int32,
    "position": np.int32,
    "above": np.int32,
    "ties": np.int32,
}
"""Columns and types of the alpha table of a model that blends nothing."""


def rank(
    scorer: Scorer, dataset: Dataset, max_length: int, device: torch.device
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rank every validation and test target.

    Returns (ranks, top, alpha): the ranks of the model and its parts, the TOP best items of each test instance, and,
    for a model that blends two scores, the ranks on a grid of alpha. Raises UserError if a score is not finite.
    """
    ranks, top, alpha = [], [], []
    for split in ("validation", "test"):
        for batch, scores in score_batches(scorer, dataset, split, max_length, device):
            rows = instance_rows(batch.instance.cpu().numpy(), dataset, split)
            seen = seen_items(rows, dataset, device)
            ranks.append(rows.assign(**rank_columns(scores, batch.target, seen)))
            if split == "test":
                top.append(rows[KEYS[1:]].assign(items=top_items(scores["model"])))
            if scorer.blend_parts:
                first, second = (scores[part] for part in scorer.blend_parts)
                alpha.append(alpha_ranks(first, second, batch, rows))
    ranks = pd.concat(ranks, ignore_index=True)
    top = pd.concat(top, ignore_index=True)
    return (
        ranks.sort_values(KEYS, ascending=[False, True, True], ignore_index=True),
        top.sort_values(KEYS[1:], ignore_index=True),
        pd.concat(alpha, ignore_index=True)
        if alpha
        else pd.DataFrame(columns=[*NO_ALPHA_GRID]).astype(NO_ALPHA_GRID),
    )


def score_batches(
    scorer: Scorer, dataset: Dataset, split: str, max_length: int, device: torch.device
) -> Iterator[tuple[Batch, dict[str, torch.Tensor]]]:
    """Batches of a split's instances with their scores, which are checked to be finite."""
    windows = Windows(dataset, (split,), max_length, device)
    with torch.inference_mode():
        for batch in windows.in_order(rows_at_once(dataset.catalogue_size, device)):
            scores = scorer.scores(batch)
            for part, values in scores.items():
                if not all(map(torch.isfinite, values.aminmax())):
                    raise UserError(
                        f"{part} scores of {split} instances are not all finite numbers: training diverged "
                        "(lower learning_rate) or the text vectors hold NaN"
                    )
            yield batch, scores


def seen_items(rows: pd.DataFrame, dataset: Dataset, device: torch.device) -> torch.Tensor:
    """[I, N] True where the item occurs in the instance's whole prefix, even before the items that the model sees."""
    length = rows["position"].to_numpy()
    start = dataset.offsets[rows["session"].to_numpy()]
    row = np.repeat(np.arange(len(rows)), length)
    within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    item = dataset.flat[np.repeat(start, length) + within].astype(np.int64)
    seen = torch.zeros(len(rows), dataset.catalogue_size, dtype=torch.bool, device=device)
    seen[torch.from_numpy(row).to(device), torch.from_numpy(item).to(device)] = True
    return seen


def rank_columns(
    scores: dict[str, torch.Tensor], target: torch.Tensor, seen: torch.Tensor
) -> dict[str, np.ndarray]:
    """The rank columns of a batch: the model with and without the prefix's items, and each part."""
    above, ties = above_and_ties(scores["model"], target)
    above_unseen, ties_unseen = above_and_ties_unseen(scores["model"], target, seen)
    columns = {"above": above, "ties": ties, "above_unseen": above_unseen, "ties_unseen": ties_unseen}
    for part in ("id", "text"):
        if part in scores:
            columns[f"{part}_above"], columns[f"{part}_ties"] = above_and_ties(scores[part], target)
    return columns


def top_items(scores: torch.Tensor) -> list[np.ndarray]:
    """The TOP best items of each instance (all items of a smaller catalogue), best first."""
    return list(scores.topk(min(TOP, scores.shape[1]), dim=1).indices.to(torch.int32).cpu().numpy())


def alpha_ranks(first: torch.Tensor, second: torch.Tensor, batch: Batch, rows: pd.DataFrame) -> pd.DataFrame:
    """The ranks of a batch's instances for every blend and alpha of the grid."""
    points = list(product(BLENDS, ALPHAS))
    # One array for all points: many small ones would keep the memory of freed score matrices from being reused.
    counts = np.empty((2, len(points), len(rows)), np.int32)
    for index, (_, scores) in enumerate(blend_each(first, second, points)):
        counts[:, index] = above_and_ties(scores, batch.target)
    kinds, alphas = zip(*points, strict=True)
    return pd.DataFrame(
        {key: np.tile(rows[key].to_numpy(), len(points)) for key in KEYS}
        | {"blend": np.repeat(kinds, len(rows)), "alpha": np.repeat(alphas, len(rows))}
        | {"above": counts[0].ravel(), "ties": counts[1].ravel()}
    )
