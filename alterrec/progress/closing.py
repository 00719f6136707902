"""The last lines of a finished study: the best models and the verdicts of each dataset, and where to look."""

from pathlib import Path

import pandas as pd

from alterrec.files import read_json

SHOWN = {
    "split": "test", "part": "model", "scope": "all", "targets": "all", "catalogue": "full", "metric": "Hits"
}  # fmt: skip
BEST = 3
VERDICTS = ("supported", "refuted", "undecided", "not tested")


def closing(folder: Path) -> str:
    """Lines on the study in the folder of its results, from its summary."""
    summary = folder / "summary"
    study = read_json(summary / "study.json")
    metrics, claims = (pd.read_parquet(summary / f"{name}.parquet") for name in ("metrics", "claims"))
    lines = [f"{study['name']} is finished."]
    for dataset, about in study["datasets"].items():
        if about["twin_of"] not in study["datasets"]:
            label = about.get("label") or dataset
            lines += [f"{label}: test Hits@{study['k']} {best_models(metrics, study, dataset)}"]
            lines += [f"{label}: {verdicts}" for verdicts in claim_verdicts(claims, dataset)]
    return "\n".join(
        [*lines, f"Report: {folder}/report.html, tables: {folder}/tables/, figures: {folder}/figures/"]
    )


def best_models(metrics: pd.DataFrame, study: dict, dataset: str) -> str:
    """The best models that are no controls, with the mean of their seeds in percent."""
    for column, value in (SHOWN | {"k": study["k"], "dataset": dataset}).items():
        metrics = metrics[metrics[column] == value]
    controls = [model for model, about in study["models"].items() if about["family"] == "control"]
    means = metrics[~metrics.model.isin(controls)].groupby("model").value.mean().nlargest(BEST)
    return ", ".join(f"{study['models'][model]['label']} {100 * mean:.2f}" for model, mean in means.items())


def claim_verdicts(claims: pd.DataFrame, dataset: str) -> list[str]:
    """At most one line: the claims on a dataset by their verdict."""
    rows = claims[(claims.dataset == dataset) & claims.primary.fillna(False).astype(bool)]
    found = {verdict: sorted(rows.claim[rows.verdict == verdict]) for verdict in VERDICTS}
    parts = [f"{verdict} {', '.join(names)}" for verdict, names in found.items() if names]
    return ["claims " + "; ".join(parts)] if parts else []
