"""Tables of the summary that need one run or one dataset only: metrics, the alpha grid, dataset statistics."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet

from alterrec.analysis.outcomes import METRICS
from alterrec.data.dataset import Dataset
from alterrec.errors import UserError
from alterrec.ranking import metrics
from alterrec.ranking.metrics import K
from alterrec.ranking.rank_file import PARTS, UNSEEN


def dataset_row(name: str, dataset: Dataset, where: pd.DataFrame, twin_of: str | None) -> pd.DataFrame:
    length, train_count, card = np.diff(dataset.offsets), dataset.train_count, dataset.card
    row = {"dataset": name, "source": card.get("source", ""), "licence": card.get("licence", "")}
    split = np.asarray(dataset.split)
    counts = {part: int((split == part).sum()) for part in ("train", "validation", "test")}
    row |= {f"sessions_{part}": count for part, count in counts.items()}
    row |= {f"instances_{part}": int(dataset.targets[split == part].sum()) for part in counts}
    test_targets = where.loc[where["split"] == "test", "target"].to_numpy()
    row |= {
        "items": dataset.catalogue_size,
        "warm_items": int((train_count > 0).sum()),
        "cold_items": int((train_count == 0).sum()),
        "distinct_texts": len(set(dataset.text)),
        "mean_length": float(length.mean()),
        "cold_test_targets": int((train_count[test_targets] == 0).sum()),
        "demo": bool(card.get("demo", False)),
        "order_known": bool(card.get("order_known", True)),
        "twin_of": twin_of or "",
        "note": card.get("note") or "",
    }
    return pd.DataFrame([row])


class Groups:
    """The sets of instances whose means are reported: split x scope x targets."""

    def __init__(self, where: pd.DataFrame, dataset: Dataset):
        warm = dataset.train_count[where["target"].to_numpy()] > 0
        splits = {split: (where["split"] == split).to_numpy() for split in ("validation", "test")}
        scopes = {"all": np.ones(len(where), bool), "last": where["last"].to_numpy()}
        targets = {"all": np.ones(len(where), bool), "warm": warm, "cold": ~warm}
        masks = {
            (split, scope, target): splits[split] & scopes[scope] & targets[target]
            for split in splits
            for scope in scopes
            for target in targets
        }
        masks = {key: mask for key, mask in masks.items() if mask.any()}
        self.keys = pd.DataFrame(masks.keys(), columns=["split", "scope", "targets"])
        self.weights = np.stack(list(masks.values())).astype(float)
        self.instances = self.weights.sum(1).astype(int)

    def means(self, values: np.ndarray) -> np.ndarray:
        """[groups, C] mean of [I, C] over each group's instances."""
        return self.weights @ values / self.instances[:, None]


def metrics_rows(ranks: pd.DataFrame, groups: Groups) -> pd.DataFrame:
    """Every metric at every cut-off, of the model and its parts, with and without the prefix's items, as far as ranked."""
    kinds = [("model", "full", "above", "ties"), ("model", "unseen", *UNSEEN)]
    kinds += [(part, "full", f"{part}_above", f"{part}_ties") for part in PARTS]
    kinds = [kind for kind in kinds if kind[-1] in ranks]
    names, cutoffs = zip(*metrics.METRICS, strict=True)
    frames = []
    for part, catalogue, above, ties in kinds:
        means = groups.means(metrics.all_metrics(ranks[above].to_numpy(), ranks[ties].to_numpy()))
        frame = groups.keys.loc[groups.keys.index.repeat(len(names))].reset_index(drop=True)
        frame.insert(1, "part", part)
        frame["catalogue"] = catalogue
        frame["metric"], frame["k"] = np.tile(names, len(means)), np.tile(cutoffs, len(means))
        frame["value"], frame["instances"] = means.ravel(), np.repeat(groups.instances, len(names))
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def recommended(path: Path, dataset: Dataset) -> np.ndarray:
    """The item numbers of all top lists of a run together."""
    items = pyarrow.parquet.read_table(path, columns=["items"])["items"].combine_chunks().flatten().to_numpy()
    if len(items) and (items.min() < 0 or items.max() >= dataset.catalogue_size):
        raise UserError(
            f"{path}: items must be row numbers of the catalogue, 0 to {dataset.catalogue_size - 1}"
        )
    return items


def alpha_rows(alpha: pd.DataFrame, facts: dict) -> pd.DataFrame:
    """Hits@20 and NDCG@20 on the grid of blend and alpha; `chosen` marks the model's own if it is there."""
    above, ties = alpha["above"].to_numpy(), alpha["ties"].to_numpy()
    values = {metric: metrics.expected(metric, K, above, ties) for metric in METRICS}
    keys = ["blend", "alpha", "split"]
    table = (
        alpha[keys]
        .assign(**values)
        .groupby(keys, observed=True, sort=True)[list(METRICS)]
        .mean()
        .reset_index()
    )
    table = table.melt(keys, var_name="metric", value_name="value")
    table.insert(4, "k", K)
    own = float(facts.get("alpha", "nan"))
    return table.assign(chosen=(table["blend"] == facts.get("blend")) & np.isclose(table["alpha"], own))
