"""What the networks of a model were trained on, and whether that allows a comparison of models.

Models are compared as methods only if their networks had equal budgets, in optimiser steps and in true labels, and if
the weights that are ranked were trained on what the comparison is about.
"""

from collections.abc import Sequence

import pandas as pd

from alterrec.inference.outcomes import Outcomes
from alterrec.study.settings import TREATMENTS

TOLERANCE = 0.01
"""Budgets that differ by at most this part count as equal."""


def run_budgets(history: pd.DataFrame, kept_epochs: dict[str, int]) -> pd.DataFrame:
    """One row per network of a run: its updates and true labels in all, its kept epoch, and its first treated epoch.

    Epochs are those of the run. A treated epoch is one of TREATMENTS; a network that has none has no such epoch.
    `kept_epochs` are the run's facts of that name. What a history of another program lacks is empty.
    """
    epochs = history.reindex(columns=["network", "epoch", "mode", "updates", "labels"])
    treated = epochs[epochs["mode"].isin(TREATMENTS)].groupby("network")["epoch"].min()
    table = epochs.groupby("network", sort=False)[["updates", "labels"]].max().reset_index()
    return table.assign(
        best_epoch=table["network"].map(kept_epochs).astype(float),
        treated_epoch=table["network"].map(treated).astype(float),
    )


def budgets_table(outcomes: Outcomes) -> pd.DataFrame:
    """The networks of every run on a dataset. An ensemble has those of the runs that it is made of, too."""
    rows = [
        outcomes.budgets[member, seed].assign(dataset=outcomes.name, model=model, seed=seed)
        for model, seed in outcomes.runs()
        for member in dict.fromkeys([model, *outcomes.models.get(model, {}).get("networks", [])])
        if (member, seed) in outcomes.budgets
    ]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def objection(models: Sequence[str], budgets: pd.DataFrame) -> str:
    """Why a comparison of these models decides nothing; "" if their `budgets` allow it.

    Networks of the same kind are compared, ID with ID and text with text, by the means over seeds of a model on a
    dataset. A network of both modalities is of both kinds. Budgets that are not known are not compared.
    """
    if budgets.empty:
        return ""
    compared = budgets[budgets["model"].isin(models)]
    reasons = []
    for kind, name in {"id": "ID", "text": "text"}.items():
        means = compared[compared["network"].isin([kind, "joint"])].groupby(["model", "dataset"])
        for amount, values in means[["updates", "labels"]].mean().items():
            low, high = values.min(), values.max()
            if high > (1 + TOLERANCE) * low:
                fewest, most = (" on ".join(end) for end in (values.idxmin(), values.idxmax()))
                reasons.append(
                    f"{amount} of the {name} networks differ: {low:,.0f} ({fewest}) to {high:,.0f} ({most})"
                )
    early = compared[compared["best_epoch"] < compared["treated_epoch"]]
    for model, rows in early.groupby("model"):
        seeds = ", ".join(map(str, sorted(rows["seed"].unique())))
        reasons.append(f"the kept epoch of {model} precedes its treatment (seed {seeds})")
    return "; ".join(reasons)
