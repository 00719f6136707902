"""The tables of the summary that need one run or one dataset: dataset statistics, metrics and the alpha grid."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet

from alterrec.analysis.long_tail import coverage
from alterrec.data.card import statistics
from alterrec.data.dataset import Dataset
from alterrec.data.splits import SPLITS
from alterrec.errors import UserError
from alterrec.inference.outcomes import METRICS
from alterrec.ranking import metrics
from alterrec.ranking.metrics import K
from alterrec.ranking.rank_file import PARTS, UNSEEN, read_parquet
from alterrec.study.provenance import SUMMARY_ROWS


def dataset_row(name: str, dataset: Dataset, twin_of: str | None) -> pd.DataFrame:
    """The dataset's row of the table datasets."""
    card, counts = dataset.card, statistics(dataset)
    splits = counts["splits"]
    row = {"dataset": name, "source": card.get("source", ""), "licence": card.get("licence", "")}
    row |= {f"{what}_{split}": splits[split][what] for what in ("sessions", "instances") for split in SPLITS}
    of_all = ("items", "warm_items", "cold_items", "distinct_texts", "mean_length")
    row |= {key: counts[key] for key in of_all} | {
        "cold_test_targets": splits["test"]["cold_targets"],
        "demo": bool(card.get("demo", False)),
        "order_known": bool(card.get("order_known", True)),
        "twin_of": twin_of or "",
        "note": card.get("note") or "",
    }
    return pd.DataFrame([row])


class Groups:
    """The groups of instances whose means are reported: split x scope (all, last) x targets (all, warm, cold)."""

    def __init__(self, instances: pd.DataFrame, dataset: Dataset):
        warm = dataset.train_count[instances["target"].to_numpy()] > 0
        everything = np.ones(len(instances), bool)
        splits = {split: (instances["split"] == split).to_numpy() for split in ("validation", "test")}
        scopes = {"all": everything, "last": instances["last"].to_numpy()}
        targets = {"all": everything, "warm": warm, "cold": ~warm}
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
        """[groups, C] means of [I, C] values over each group's instances."""
        return self.weights @ values / self.instances[:, None]


def metrics_rows(ranks: pd.DataFrame, groups: Groups) -> pd.DataFrame:
    """Every metric at every cut-off for all ranks of a run: of the model, among unseen items, and of its parts.

    The Hits@k of the part "both" is the share of targets that each of the two parts has among its k best items. Ties
    of the two parts count as independent.
    """
    kinds = [("model", "full", "above", "ties"), ("model", "unseen", *UNSEEN)]
    kinds += [(part, "full", f"{part}_above", f"{part}_ties") for part in PARTS]
    values = {
        (part, catalogue): metrics.all_metrics(ranks[above].to_numpy(), ranks[ties].to_numpy())
        for part, catalogue, above, ties in kinds
        if ties in ranks
    }
    frames = [
        means_by_group(groups, of_instances, metrics.METRICS).assign(part=part, catalogue=catalogue)
        for (part, catalogue), of_instances in values.items()
    ]
    if all((part, "full") in values for part in PARTS):
        hits = [column for column, (metric, _) in enumerate(metrics.METRICS) if metric == "Hits"]
        found_by_both = np.prod([values[part, "full"][:, hits] for part in PARTS], axis=0)
        of_hits = [metrics.METRICS[column] for column in hits]
        frames.append(means_by_group(groups, found_by_both, of_hits).assign(part="both", catalogue="full"))
    return pd.concat(frames, ignore_index=True)


def means_by_group(groups: Groups, values: np.ndarray, measured: Sequence[tuple[str, int]]) -> pd.DataFrame:
    """One row per group and column of [I, C] values; `measured` has the metric and the cut-off of each column."""
    means = groups.means(values)
    names, cutoffs = zip(*measured, strict=True)
    frame = groups.keys.loc[groups.keys.index.repeat(len(names))].reset_index(drop=True)
    frame["metric"], frame["k"] = np.tile(names, len(means)), np.tile(cutoffs, len(means))
    frame["value"], frame["instances"] = means.ravel(), np.repeat(groups.instances, len(names))
    return frame


def coverage_rows(run: Path, dataset: Dataset) -> pd.DataFrame | None:
    """How diverse the top lists of the run in this folder are; None if it has none."""
    if (run / "top.parquet").is_file():
        return pd.DataFrame([coverage(recommended(run / "top.parquet", dataset), dataset.train_count)])
    return stored_rows(run, "coverage")


def alpha_rows(run: Path, facts: dict) -> pd.DataFrame | None:
    """Hits@20 and NDCG@20 on the grid of blend and alpha of the run in this folder; None if it has none."""
    if (run / "alpha.parquet").is_file():
        grid = read_parquet(run / "alpha.parquet")
        return alpha_curve(grid, facts) if len(grid) else None
    return stored_rows(run, "alpha")


def stored_rows(run: Path, table: str) -> pd.DataFrame | None:
    path = run / SUMMARY_ROWS[table]
    return read_parquet(path) if path.is_file() else None


def recommended(path: Path, dataset: Dataset) -> np.ndarray:
    """The item numbers of all top lists of a run, one list after the other."""
    items = pyarrow.parquet.read_table(path, columns=["items"])["items"].combine_chunks().flatten().to_numpy()
    if len(items) and (items.min() < 0 or items.max() >= dataset.catalogue_size):
        raise UserError(
            f"{path}: items must be row numbers of the catalogue, 0 to {dataset.catalogue_size - 1}"
        )
    return items


def alpha_curve(alpha: pd.DataFrame, facts: dict) -> pd.DataFrame:
    """Hits@20 and NDCG@20 on the grid of blend and alpha. `chosen` marks the run's own blend and alpha (`facts`)."""
    above, ties = alpha["above"].to_numpy(), alpha["ties"].to_numpy()
    values = {metric: metrics.expected(metric, K, above, ties) for metric in METRICS}
    keys = ["blend", "alpha", "split"]
    groups = alpha[keys].assign(**values).groupby(keys, observed=True, sort=True)
    table = groups[list(METRICS)].mean().reset_index().melt(keys, var_name="metric", value_name="value")
    table.insert(4, "k", K)
    own_alpha = float(facts.get("alpha", "nan"))
    return table.assign(chosen=(table["blend"] == facts.get("blend")) & np.isclose(table["alpha"], own_alpha))
