"""The tuning record of a summary: which axes its grid varies, what each alone moves, and the lead to hold against it."""

import pandas as pd
from _summary_folder import Study, in_order

AXES = {
    "initialisation": "Initialisation",
    "learning_rate": "Learning rate",
    "schedule": "Schedule",
    "dropout": "Dropout",
}
NO_RECORD = "This study names no tuning record."


def record(study: Study) -> pd.DataFrame:
    """Every tried point on the study's datasets, in its order."""
    points = study.read("tuning")
    return in_order(points[points.dataset.isin(study.real_datasets)], study)


def varied(points: pd.DataFrame) -> list[str]:
    """The axes with more than one value."""
    return [axis for axis in AXES if points[axis].nunique() > 1]


def moves(study: Study, points: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset and model: the best point, the worst score, and what each choice moves.

    `moved_<axis>` is the range of validation Hits@20 over the axis's values with the other axes as in the best point
    (NaN where only one was tried there); `moved_seed` the range over the study's seeds at the settings it uses.
    """
    rows = []
    for (dataset, model), tried in points.groupby(["dataset", "model"], sort=False):
        best = tried.loc[tried.validation_hits20.idxmax()]
        row = best.drop(["seed", "validation_hits20"]).to_dict()
        row |= {"points": len(tried), "best": best.validation_hits20, "worst": tried.validation_hits20.min()}
        row |= {f"moved_{axis}": moved(tried, best, axis) for axis in AXES}
        rows.append(row | {"moved_seed": seed_range(study, dataset).get(model)})
    columns = [*points.columns.drop(["seed", "validation_hits20"]), "points", "best", "worst"]
    return pd.DataFrame(rows, columns=[*columns, *(f"moved_{axis}" for axis in [*AXES, "seed"])])


def choices(ranges: pd.DataFrame) -> dict[str, str]:
    """What was seen to move some model's score, with its name: axes of the grid, and the seed."""
    names = AXES | {"seed": "Seed"}
    return {key: name for key, name in names.items() if ranges[f"moved_{key}"].notna().any()}


def moved(tried: pd.DataFrame, best: pd.Series, axis: str) -> float:
    """The range of scores among the points that differ from the best one in `axis` alone."""
    others = [other for other in varied(tried) if other != axis]
    alike = tried[tried[others].eq(best[others]).all(axis=1)]
    scores = alike.validation_hits20
    return scores.max() - scores.min() if alike[axis].nunique() > 1 else float("nan")


def seed_range(study: Study, dataset: str) -> pd.Series:
    """Largest minus least validation Hits@20 of every model with several seeds."""
    scores = study.on_validation(dataset)
    return (scores.max() - scores.min())[scores.count() > 1]


def lead(study: Study, dataset: str) -> tuple[str, float] | None:
    """The best model on validation that is no control and no form of the method, and AlterRec's lead over it there."""
    means = study.on_validation(dataset).mean()
    rivals = means[~means.index.isin(study.of_family("control", "method"))]
    if "alterrec" not in means or rivals.empty:
        return None
    return rivals.idxmax(), means["alterrec"] - rivals.max()
