"""Which models are compared with which, and the table of both questions of significance."""

from itertools import chain

import numpy as np
import pandas as pd

from alterrec.analysis.outcomes import METRICS, SCOPES, Outcomes
from alterrec.analysis.statistics import (
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
from alterrec.ranking.metrics import K

SEED = 20_240_501  # of resampling: the same for every study


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
