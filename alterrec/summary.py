"""The runs of a study -> summary/: all that a table, figure or claim prints, from ranks and histories.

Runs are read one at a time; of each only its metrics, histories and the Hits@20 and NDCG@20 of its test
instances are kept, and those only until its dataset (with its twins) is done.
"""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
from tqdm import tqdm

from alterrec import metrics
from alterrec.diagnostics import claims
from alterrec.diagnostics.imbalance import imbalance_table, undertraining_table
from alterrec.diagnostics.long_tail import coverage, equal_mass_bins, long_tail_table
from alterrec.diagnostics.meaning import permuted_table
from alterrec.errors import UserError
from alterrec.files import write_json, write_parquet
from alterrec.ranks import METRICS, PARTS, SCOPES, UNSEEN, K, Outcomes, instances, read_parquet, read_ranks
from alterrec.sessions import Dataset
from alterrec.statistics import (
    Estimate,
    SessionSums,
    adjust,
    bootstrap_interval,
    bootstrap_sums,
    compare,
    matched,
    sign_flip,
    signed_rank,
    wins_ties_losses,
)
from alterrec.tuning import read_record

SEED = 20_240_501
TABLES = (
    "datasets",
    "metrics",
    "significance",
    "claims",
    "long_tail",
    "coverage",
    "imbalance",
    "undertraining",
    "permuted",
    "alpha",
    "history",
    "cost",
    "tuning",
)
HISTORY_NUMBERS = (
    "learning_rate",
    "loss",
    "hits20",
    "id_hits20",
    "text_hits20",
    "id_loss",
    "text_loss",
    "id_gradient_share",
    "id_score_share",
    "seconds",
)


def summarise(study: dict, out: Path, resamples: int = 10_000) -> None:
    """Write every file of the summary folder `out`.

    `study` is what `alterrec.study.Study.summary_input` returns; `resamples` is of bootstrap and permutation.
    UserError names the first run that is missing or breaks the schema of ranks.
    """
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    tables["tuning"].append(read_record(study.get("tuning")))
    progress = tqdm(total=len(study["cells"]), desc="summary", unit="run", disable=None)
    for family in families(study["datasets"]):
        done = {name: summarise_dataset(study, name, tables, progress, resamples) for name in family}
        real = family[0]
        if study["datasets"][real].get("twin_of") is None:
            twin = permuted_twin(family)
            notes = claim_notes(tables["datasets"], real)
            tables["claims"].append(claims.findings(done[real], done.get(twin), notes))
            if twin:
                tables["permuted"].append(permuted_table(done[real], done[twin]))
    progress.close()
    history = joined(tables["history"])
    history = history.reindex(columns=[*history.columns, *(k for k in HISTORY_NUMBERS if k not in history)])
    tables["history"] = [history]
    tables["imbalance"] = [imbalance_table(history, study["models"])] if len(history) else []
    found = tables.pop("claims")
    frames = {name: joined(parts) for name, parts in tables.items()}
    frames["claims"] = claims.claims_table(found) if found else pd.DataFrame()
    for name, frame in frames.items():
        write_parquet(Path(out) / f"{name}.parquet", frame)
    write_json(Path(out) / "study.json", without_paths(study))


def joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def without_paths(study: dict) -> dict:
    cells = [{key: value for key, value in cell.items() if key != "path"} for cell in study["cells"]]
    datasets = {
        name: {key: value for key, value in about.items() if key != "path"}
        for name, about in study["datasets"].items()
    }
    kept = {key: value for key, value in study.items() if key != "tuning"}
    return kept | {"cells": cells, "datasets": datasets}


def families(datasets: dict[str, dict]) -> Iterator[list[str]]:
    """Every dataset followed by its twins; a twin whose original is not in the study stands alone."""
    for name, about in datasets.items():
        if about.get("twin_of") not in datasets:
            yield [name, *(other for other, it in datasets.items() if it.get("twin_of") == name)]


def permuted_twin(family: list[str]) -> str | None:
    """The twin with permuted texts: the one named so, else the first."""
    twins = family[1:]
    return next((name for name in twins if "permuted" in name), twins[0] if twins else None)


def claim_notes(rows: list[pd.DataFrame], name: str) -> list[str]:
    about = next(frame.iloc[0] for frame in rows if frame["dataset"].iloc[0] == name)
    return [claims.DRAWN_ORDER] * (not about["order_known"]) + [claims.DEMO] * bool(about["demo"])


def summarise_dataset(
    study: dict, name: str, tables: dict[str, list], progress: tqdm, resamples: int
) -> Outcomes:
    """Add the tables of one dataset's runs and return their outcomes."""
    about = study["datasets"][name]
    dataset = Dataset.load(Path(about["path"]))
    where = instances(dataset)
    if not (where["split"] == "test").any():
        raise UserError(f"{about['path']}: the dataset has no test instance")
    targets = where.loc[where["split"] == "test", "target"].to_numpy()
    bins = equal_mass_bins(dataset.train_count[targets])
    outcomes = Outcomes(name, where, bins.of(dataset.train_count), study["models"])
    groups = Groups(where, dataset)
    tables["datasets"].append(dataset_row(name, dataset, where, about.get("twin_of")))
    for cell in (cell for cell in study["cells"] if cell["dataset"] == name):
        for table, frame in read_cell(cell, dataset, where, outcomes, groups):
            keys = {"dataset": name, "model": cell["model"], "seed": cell["seed"]}
            for place, (column, value) in enumerate(keys.items()):
                frame.insert(place, column, value)
            tables[table].append(frame)
        progress.update()
    tables["long_tail"].append(long_tail_table(outcomes, bins))
    tables["undertraining"].append(undertraining_table(outcomes))
    tables["significance"].append(significance_table(outcomes, resamples))
    return outcomes


def read_cell(
    cell: dict, dataset: Dataset, where: pd.DataFrame, outcomes: Outcomes, groups: "Groups"
) -> Iterator[tuple[str, pd.DataFrame]]:
    """(table, rows) of one run; a run without a history, top lists or alpha grid leaves those out."""
    folder = Path(cell["path"])
    ranks = read_ranks(folder / "ranks.parquet", dataset, where)
    outcomes.add(cell["model"], cell["seed"], ranks)
    yield "metrics", metrics_rows(ranks, groups)
    facts = (
        json.loads((folder / "metrics.json").read_text("utf-8"))
        if (folder / "metrics.json").is_file()
        else {}
    )
    yield "cost", pd.DataFrame({"seconds": [float(facts.get("seconds", "nan"))]})
    if (folder / "top.parquet").is_file():
        yield (
            "coverage",
            pd.DataFrame([coverage(recommended(folder / "top.parquet", dataset), dataset.train_count)]),
        )
    if (folder / "alpha.parquet").is_file():
        alpha = read_parquet(folder / "alpha.parquet", "")
        if len(alpha):
            yield "alpha", alpha_rows(alpha, facts)
    if (folder / "history.parquet").is_file():
        history = read_parquet(folder / "history.parquet", "")
        if len(history):
            outcomes.add_updates(cell["model"], history)
            numbers = {
                column: pd.to_numeric(history[column]).astype(float)
                for column in HISTORY_NUMBERS
                if column in history
            }
            yield "history", history.assign(**numbers)


# One function per table


def dataset_row(name: str, dataset: Dataset, where: pd.DataFrame, twin_of: str | None) -> pd.DataFrame:
    length, train_count, card = np.diff(dataset.offsets), dataset.train_count, dataset.card
    row = {"dataset": name, "source": card.get("source", ""), "licence": card.get("licence", "")}
    split = np.asarray(dataset.split)
    counts = {part: int((split == part).sum()) for part in ("train", "validation", "test")}
    row |= {f"sessions_{part}": count for part, count in counts.items()}
    row |= {f"instances_{part}": int((length[split == part] - 1).clip(0).sum()) for part in counts}
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


def pairs(outcomes: Outcomes) -> list[tuple[str, str]]:
    """alterrec against every other model; every fusion against the single networks and the late ensemble."""
    against = {"alterrec": [model for model in outcomes.models if model != "alterrec"]}
    against |= {fusion: ["id_only", "text_only", "late_ensemble"] for fusion in outcomes.in_family("fusion")}
    return [(a, b) for a, others in against.items() for b in others if a in outcomes and b in outcomes]


def significance_table(outcomes: Outcomes, resamples: int) -> pd.DataFrame:
    """Both questions of significance, the bootstrap and the secondary tests for every pair, scope and metric.

    p_holm and p_bh correct the p of question (ii) over the pairs of one dataset, scope and metric.
    """
    wanted = pairs(outcomes)
    if not wanted:
        return pd.DataFrame()
    kinds = [(scope, metric) for scope in SCOPES for metric in METRICS]
    models = dict.fromkeys(chain.from_iterable(wanted))
    sums = {(model, *kind): outcomes.sums(model, *kind) for model in models for kind in kinds}
    means = bootstrap_means(sums, resamples)
    rows, differences = [], []
    for a, b in wanted:
        for kind in kinds:
            one, other = sums[a, *kind], sums[b, *kind]
            row, difference = pair_row(one, other)
            low, high = bootstrap_interval(one, other, means[a, *kind], means[b, *kind], SEED)
            keys = {
                "dataset": outcomes.name,
                "model_a": a,
                "model_b": b,
                "scope": kind[0],
                "metric": kind[1],
                "k": K,
            }
            rows.append(keys | row | {"boot_low": low, "boot_high": high})
            differences.append(difference)
    table = pd.DataFrame(rows).assign(p_signflip=sign_flip(np.stack(differences, axis=1), resamples, SEED))
    for column, method in (("p_holm", "holm"), ("p_bh", "fdr_bh")):
        table[column] = table.groupby(["scope", "metric"])["p"].transform(
            lambda p, m=method: adjust(p.to_numpy(), m)
        )
    return table


def bootstrap_means(sums: dict[tuple, SessionSums], resamples: int) -> dict[tuple, np.ndarray]:
    """[resamples, K] means of every model on resampled sessions, from one product with all columns."""
    counts = {scope: one.counts for (_, scope, _), one in sums.items()}
    totals = bootstrap_sums(
        np.column_stack([*counts.values(), *(one.sums for one in sums.values())]), resamples, SEED
    )
    instances_drawn = dict(zip(counts, totals.T, strict=False))
    ends = len(counts) + np.cumsum([len(one.seeds) for one in sums.values()])
    return {
        key: totals[:, end - len(one.seeds) : end] / instances_drawn[key[1]][:, None]
        for (key, one), end in zip(sums.items(), ends, strict=True)
    }


def pair_row(a: SessionSums, b: SessionSums) -> tuple[dict, np.ndarray]:
    """The columns of one pair and its per-session differences [S], seeds averaged."""
    a, b = matched(a, b)
    tested = compare(a, b)
    row = {"mean_a": a.mean, "mean_b": b.mean, "difference": tested.method.value}
    for suffix, one in (("", tested.method), ("_i", tested.trained)):
        low, high = one.interval()
        row |= {f"se{suffix}": one.se, f"low{suffix}": low, f"high{suffix}": high, f"p{suffix}": one.p}
    row["df"] = tested.method.df
    difference = a.sums.mean(1) - b.sums.mean(1)
    wins, ties, losses = wins_ties_losses(difference)
    sessions = len(difference)
    row |= {"p_wilcoxon": signed_rank(difference), "d_z": effect_size(tested.trained, sessions)}
    row |= {
        "wins": wins,
        "ties": ties,
        "losses": losses,
        "sessions": sessions,
        "instances": int(a.counts.sum()),
    }
    return row | {"seeds_a": len(a.seeds), "seeds_b": len(b.seeds)}, difference


def effect_size(trained: Estimate, sessions: int) -> float:
    """d_z: the difference over the standard deviation of a session's, that is t of question (i) / sqrt(S)."""
    return 0.0 if trained.se == 0 else trained.value / trained.se / np.sqrt(sessions)
