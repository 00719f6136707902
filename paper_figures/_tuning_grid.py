"""The tuning record of a summary: which settings the grid varies, and how much each one changes the score."""

import pandas as pd
from _summary_folder import Study, sort_rows

SETTINGS = {
    "initialisation": "Initialisation",
    "learning_rate": "Learning rate",
    "schedule": "Schedule",
    "dropout": "Dropout",
}
NO_RECORD = "This study has no tuning record."


def record(study: Study) -> pd.DataFrame:
    """Every tuning run on the study's datasets that are not twins, in the study's order."""
    points = study.read("tuning")
    return sort_rows(points[points.dataset.isin(study.real_datasets)], study)


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
