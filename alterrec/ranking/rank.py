"""Scores -> where every target ranks in the whole catalogue, streamed in bounded memory.

A rank is kept as two counts, the items strictly above the target and the other items that tie with it, so that every
metric can be its expectation under uniform tie-breaking and no order of the catalogue ever decides.
"""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import pandas as pd
import torch

from alterrec.data.dataset import Dataset
from alterrec.engine.contract import Scorer
from alterrec.engine.memory import rows_at_once
from alterrec.engine.windows import Batch, Windows
from alterrec.errors import UserError
from alterrec.ranking.blending import ALPHAS, BLENDS, Blend, blends, candidates
from alterrec.ranking.metrics import K, expected_hits
from alterrec.study.settings import BlendConfig

TOP = K  # items of the stored lists


def rank(
    scorer: Scorer, dataset: Dataset, max_length: int, device: torch.device
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rank every validation and test target.

    Returns (ranks, top, alpha): the model's and its parts' ranks, the test instances' 20 best items, and, for a blend,
    the ranks on a grid of alpha. Raises UserError where a score is not a number.
    """
    ranks, top, alpha = [], [], []
    for split in ("validation", "test"):
        for batch, scores in scored(scorer, dataset, split, max_length, device):
            where = locate(batch, dataset, split)
            seen = seen_items(where, dataset, device)
            columns = dict(zip(("above", "ties"), count(scores["model"], batch.target), strict=True))
            unseen = count_unseen(scores["model"], batch.target, seen)
            columns |= dict(zip(("above_unseen", "ties_unseen"), unseen, strict=True))
            for part in [part for part in ("id", "text") if part in scores]:
                columns |= dict(
                    zip((f"{part}_above", f"{part}_ties"), count(scores[part], batch.target), strict=True)
                )
            ranks.append(where.assign(**columns))
            if split == "test":
                best = scores["model"].topk(min(TOP, dataset.catalogue_size), dim=1).indices
                lists = list(best.to(torch.int32).cpu().numpy())
                top.append(where[["session", "position"]].assign(items=lists))
            if scorer.blend_parts:
                first, second = (scores[part] for part in scorer.blend_parts)
                alpha.append(alpha_ranks(first, second, batch, where))
    ordered = [pd.concat(frames, ignore_index=True) if frames else None for frames in (ranks, top, alpha)]
    keys = ["split", "session", "position"]
    ordered[0] = ordered[0].sort_values(keys, ascending=[False, True, True], ignore_index=True)
    ordered[1] = ordered[1].sort_values(keys[1:], ignore_index=True)
    if ordered[2] is None:
        empty = {"split": str, "blend": str, "alpha": float, "session": np.int32, "position": np.int32}
        ordered[2] = pd.DataFrame(
            {k: pd.Series(dtype=t) for k, t in {**empty, "above": np.int32, "ties": np.int32}.items()}
        )
    return tuple(ordered)


def scored(
    scorer: Scorer, dataset: Dataset, split: str, max_length: int, device: torch.device
) -> Iterator[tuple[Batch, dict[str, torch.Tensor]]]:
    """Batches of a split's instances with their checked scores, a block at a time."""
    windows = Windows(dataset, (split,), max_length, device)
    with torch.inference_mode():
        for batch in windows.in_order(rows_at_once(dataset.catalogue_size, device)):
            scores = scorer.scores(batch)
            for part, values in scores.items():
                if not bool(torch.isfinite(values).all()):
                    raise UserError(
                        f"{part} scores of {split} instances are not all finite numbers: training diverged "
                        "(lower learning_rate) or the text vectors hold NaN"
                    )
            yield batch, scores


def locate(batch: Batch, dataset: Dataset, split: str) -> pd.DataFrame:
    """The instances of a batch: split, session, position (length of the prefix), target, last."""
    instance = batch.instance.cpu().numpy()
    session = np.searchsorted(dataset.offsets, instance, side="right") - 1
    return pd.DataFrame(
        {
            "split": split,
            "session": session.astype(np.int32),
            "position": (instance - dataset.offsets[session]).astype(np.int32),
            "target": dataset.flat[instance].astype(np.int32),
            "last": instance == dataset.offsets[session + 1] - 1,
        }
    )


def seen_items(where: pd.DataFrame, dataset: Dataset, device: torch.device) -> torch.Tensor:
    """[I, N] True where the item is in the instance's whole prefix."""
    length = where["position"].to_numpy()
    start = dataset.offsets[where["session"].to_numpy()]
    row = np.repeat(np.arange(len(where)), length)
    within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    item = dataset.flat[np.repeat(start, length) + within].astype(np.int64)
    seen = torch.zeros(len(where), dataset.catalogue_size, dtype=torch.bool, device=device)
    seen[torch.from_numpy(row).to(device), torch.from_numpy(item).to(device)] = True
    return seen


def count(scores: torch.Tensor, target: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """[I] items strictly above the target and [I] other items that tie with it."""
    own = scores.gather(1, target[:, None])
    above, ties = (scores > own).sum(1), (scores == own).sum(1) - 1
    return above.to(torch.int32).cpu().numpy(), ties.to(torch.int32).cpu().numpy()


def count_unseen(
    scores: torch.Tensor, target: torch.Tensor, seen: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """The same in the catalogue without the prefix's items; a target seen before can't be recommended: a miss."""
    above, ties = count(scores.masked_fill(seen, -torch.inf), target)
    repeated = seen.gather(1, target[:, None]).squeeze(1).cpu().numpy()
    return np.where(repeated, np.int32(scores.shape[1]), above), np.where(repeated, np.int32(0), ties)


def alpha_ranks(first: torch.Tensor, second: torch.Tensor, batch: Batch, where: pd.DataFrame) -> pd.DataFrame:
    """The instances' ranks for every blend and alpha of the grid."""
    points = list(product(BLENDS, ALPHAS))
    found = np.empty(
        (2, len(points), len(where)), np.int32
    )  # in one block: small ones would pin freed big ones
    for index, (_, scores) in enumerate(blends(first, second, points)):
        found[:, index] = count(scores, batch.target)
    kinds, alphas = zip(*points, strict=True)
    return pd.DataFrame(
        {key: np.tile(where[key].to_numpy(), len(points)) for key in ("split", "session", "position")}
        | {"blend": np.repeat(kinds, len(where)), "alpha": np.repeat(alphas, len(where))}
        | {"above": found[0].ravel(), "ties": found[1].ravel()}
    )


def choose_blend(parts, names: tuple[str, str], config: BlendConfig, validation: Windows) -> Blend:
    """The blend of the two named parts that `config` states or, where it says "validation", the best there by Hits@20."""
    grid = candidates(config)
    if len(grid) == 1:
        return Blend(parts, names, *grid[0])

    def all_blends(batch: Batch) -> Iterator:
        scores = parts(batch)
        return blends(scores[names[0]], scores[names[1]], grid)

    found = hits(all_blends, validation)
    return Blend(parts, names, *max(grid, key=found.get))


def hits(score: Callable[[Batch], dict[str, torch.Tensor]], windows: Windows, k: int = K) -> dict[str, float]:
    """Hits@k over the windows' instances, for the model and each part."""
    totals: dict[str, float] = {}
    with torch.inference_mode():
        for batch in windows.in_order(rows_at_once(windows.catalogue_size, windows.flat.device)):
            found = score(batch)
            for part, values in found.items() if isinstance(found, dict) else found:
                totals[part] = totals.get(part, 0.0) + float(
                    expected_hits(*count(values, batch.target), k).sum()
                )
    return {part: total / windows.instances for part, total in totals.items()}
