"""The tuning record of a summary: the trials of each model, and how much each setting of a grid changes the score."""

from collections.abc import Iterable

import pandas as pd
from _summary_folder import Study, sort_rows
from _table_writer import decimal

SETTINGS = {
    "initialisation": "Initialisation",
    "learning_rate": "Learning rate",
    "schedule": "Schedule",
    "dropout": "Dropout",
    "text_initialisation": "Text initialisation",
    "text_learning_rate": "Text learning rate",
    "text_schedule": "Text schedule",
    "text_dropout": "Text dropout",
}
ADDED = [*SETTINGS, "own", "trial", "rung", "edge"]  # columns that a record of a grid may lack
NO_RECORD = "This study has no tuning record."


def record(study: Study) -> pd.DataFrame:
    """Every trial of the study's models on its datasets that are not twins, as it stood in its last rung.

    The rows are in the study's order. A record can have models of another study, whose settings this one uses.
    """
    rows = study.read("tuning")
    rows = rows.reindex(columns=[*rows, *(column for column in ADDED if column not in rows)])
    last = rows.groupby(["dataset", "model", "trial"], dropna=False).rung.transform("max")
    of_study = rows.dataset.isin(study.real_datasets) & rows.model.isin(study.models)
    return sort_rows(rows[of_study & (rows.rung.isna() | (rows.rung == last))], study)


def varied_settings(points: pd.DataFrame) -> list[str]:
    """The settings that have more than one value in these runs."""
    return [setting for setting in SETTINGS if points[setting].nunique() > 1]


def score_ranges(study: Study, points: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset and model: the best point, the worst score, and the range of scores over each setting.

    `range_<setting>` is the largest minus the smallest validation Hits@20 over the values of one setting, with the
    other settings as in the best point (NaN if only one value was tried there). `range_seed` is the same over the
    study's seeds, at the settings that the study uses.
    """
    rows = []
    for (dataset, model), tried in points.groupby(["dataset", "model"], sort=False):
        best = tried.loc[tried.validation_hits20.idxmax()]
        row = best.drop(["seed", "validation_hits20"]).to_dict()
        row |= {"points": len(tried), "best": best.validation_hits20, "worst": tried.validation_hits20.min()}
        row |= {f"range_{setting}": range_over(tried, best, setting) for setting in SETTINGS}
        rows.append(row | {"range_seed": range_over_seeds(study, dataset).get(model)})
    columns = [*points.columns.drop(["seed", "validation_hits20"]), "points", "best", "worst"]
    return pd.DataFrame(rows, columns=[*columns, *(f"range_{key}" for key in [*SETTINGS, "seed"])])


def shown_ranges(ranges: pd.DataFrame) -> dict[str, str]:
    """Key and name of every setting, and of the seed, that has a range for at least one model."""
    names = SETTINGS | {"seed": "Seed"}
    return {key: name for key, name in names.items() if ranges[f"range_{key}"].notna().any()}


def range_over(tried: pd.DataFrame, best: pd.Series, setting: str) -> float:
    """The range of scores among the points that differ from the best one in `setting` only; NaN for one point."""
    others = [other for other in varied_settings(tried) if other != setting]
    alike = tried[tried[others].eq(best[others]).all(axis=1)]
    scores = alike.validation_hits20
    return scores.max() - scores.min() if alike[setting].nunique() > 1 else float("nan")


def range_over_seeds(study: Study, dataset: str) -> pd.Series:
    """Largest minus smallest validation Hits@20 over the seeds, of every model with several seeds."""
    scores = study.validation_hits(dataset)
    return (scores.max() - scores.min())[scores.count() > 1]


def lead(study: Study, dataset: str) -> tuple[str, float] | None:
    """The best other model on validation (no control, no variant of AlterRec) and AlterRec's Hits@20 minus its."""
    means = study.validation_hits(dataset).mean()
    rivals = means[~means.index.isin(study.of_family("control", "method"))]
    if "alterrec" not in means or rivals.empty:
        return None
    return rivals.idxmax(), means["alterrec"] - rivals.max()


def lead_notes(study: Study, datasets: Iterable[str]) -> list[str]:
    """A sentence per dataset on AlterRec's lead; what is known of the data and of the ensembles that it is over."""
    leads = {dataset: best for dataset in datasets if (best := lead(study, dataset))}
    sentences = [
        f"{study.dataset_label(dataset)}: {study.label('alterrec')} − {study.label(rival)} is "
        f"{decimal(100 * points, 2, sign=True)} points on validation, mean over seeds."
        for dataset, (rival, points) in leads.items()
    ]
    return [*sentences, *study.data_notes(), *study.ensemble_notes(rival for rival, _ in leads.values())]
