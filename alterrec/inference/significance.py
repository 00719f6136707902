"""Which models are compared with each other, and the table of their significance under both questions."""

from itertools import chain

import numpy as np
import pandas as pd

from alterrec.inference.outcomes import METRICS, SCOPES, Outcomes
from alterrec.inference.statistics import (
    Estimate,
    SessionSums,
    adjust_p,
    bootstrap_interval,
    bootstrap_sums,
    compare,
    sign_flip_p,
    wilcoxon_p,
    wins_ties_losses,
    with_common_seeds,
)
from alterrec.ranking.metrics import K

LATE_ENSEMBLES = ("late_ensemble", "late_ensemble_sampled")

SEED = 20_240_501  # of the resampling, the same for every study


def pairs(outcomes: Outcomes) -> list[tuple[str, str]]:
    """Which models are tested against which others, of those that ran.

    alterrec with every other model but the oracle, which knows the targets; every published baseline (the family
    external) with the late ensemble that validation prefers; every fusion with the single networks and the late ensemble
    or, if it is a variant, with the fusion that it varies; and the controls that differ in one respect (loss, choice of the
    epoch, exchange) with each other.
    """
    rivals = [name for name, about in outcomes.models.items() if about.get("base") != "oracle"]
    compared = {"alterrec": [name for name in rivals if name != "alterrec"]}
    for fusion in outcomes.in_family("fusion"):
        varied = outcomes.models[fusion].get("variant_of")
        compared[fusion] = [varied] if varied in outcomes else ["id_only", "text_only", "late_ensemble"]
    compared |= dict.fromkeys(outcomes.in_family("external"), [outcomes.best_on_validation(LATE_ENSEMBLES)])
    compared["late_ensemble_sampled"] = ["late_ensemble"]
    compared |= dict.fromkeys(("alterrec_random", "alterrec_separate"), ["late_ensemble_sampled"])
    return [(a, b) for a, others in compared.items() for b in others if a in outcomes and b in outcomes]


def significance_table(outcomes: Outcomes, resamples: int) -> pd.DataFrame:
    """For every pair, scope and metric: both questions of significance, the bootstrap and the secondary tests.

    p_holm and p_bh correct the p of question (ii) over the pairs of one dataset, scope and metric.
    """
    compared = pairs(outcomes)
    if not compared:
        return pd.DataFrame()
    kinds = [(scope, metric) for scope in SCOPES for metric in METRICS]
    models = dict.fromkeys(chain.from_iterable(compared))
    sums = {(model, *kind): outcomes.sums(model, *kind) for model in models for kind in kinds}
    means = bootstrap_means(sums, resamples)
    rows, differences = [], []
    for a, b in compared:
        for scope, metric in kinds:
            key_a, key_b = (a, scope, metric), (b, scope, metric)
            row, difference = pair_row(sums[key_a], sums[key_b])
            low, high = bootstrap_interval(sums[key_a], sums[key_b], means[key_a], means[key_b], SEED)
            keys = {"dataset": outcomes.name, "model_a": a, "model_b": b, "scope": scope, "metric": metric}
            rows.append(keys | {"k": K} | row | {"boot_low": low, "boot_high": high})
            differences.append(difference)
    table = pd.DataFrame(rows)
    table["p_signflip"] = sign_flip_p(np.stack(differences, axis=1), resamples, SEED)
    for column, method in (("p_holm", "holm"), ("p_bh", "fdr_bh")):
        table[column] = table.groupby(["scope", "metric"])["p"].transform(
            lambda p, method=method: adjust_p(p.to_numpy(), method)
        )
    return table


def bootstrap_means(
    sums: dict[tuple[str, str, str], SessionSums], resamples: int
) -> dict[tuple[str, str, str], np.ndarray]:
    """[resamples, K] means of each (model, scope, metric) on resampled sessions, from one product for all of them."""
    counts = {scope: model.counts for (_, scope, _), model in sums.items()}
    columns = np.column_stack([*counts.values(), *(model.sums for model in sums.values())])
    totals = bootstrap_sums(columns, resamples, SEED)
    instances_drawn = dict(zip(counts, totals.T, strict=False))
    ends = len(counts) + np.cumsum([len(model.seeds) for model in sums.values()])
    return {
        key: totals[:, end - len(model.seeds) : end] / instances_drawn[key[1]][:, None]
        for (key, model), end in zip(sums.items(), ends, strict=True)
    }


def pair_row(a: SessionSums, b: SessionSums) -> tuple[dict, np.ndarray]:
    """The columns of one pair, and the difference of each session [S] averaged over seeds."""
    a, b = with_common_seeds(a, b)
    tested = compare(a, b)
    row = {"mean_a": a.mean, "mean_b": b.mean, "difference": tested.method.value}
    for suffix, estimate in (("", tested.method), ("_i", tested.trained)):
        low, high = estimate.interval()
        row |= {
            f"se{suffix}": estimate.se,
            f"low{suffix}": low,
            f"high{suffix}": high,
            f"p{suffix}": estimate.p,
        }
    row["df"] = tested.method.df
    difference = a.sums.mean(1) - b.sums.mean(1)
    wins, ties, losses = wins_ties_losses(difference)
    sessions = len(difference)
    row |= {"p_wilcoxon": wilcoxon_p(difference), "d_z": effect_size(tested.trained, sessions)}
    row |= {"wins": wins, "ties": ties, "losses": losses, "sessions": sessions}
    row |= {"instances": int(a.counts.sum()), "seeds_a": len(a.seeds), "seeds_b": len(b.seeds)}
    return row, difference


def effect_size(trained: Estimate, sessions: int) -> float:
    """d_z: the difference over the standard deviation of a session's difference, or t of question (i) / sqrt(S)."""
    return 0.0 if trained.se == 0 else trained.value / trained.se / np.sqrt(sessions)
