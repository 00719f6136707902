"""Parameter study of alpha: Hits@20 over the grid on validation and test, and the best alpha per model and blend."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run, select, sort_rows
from _table_writer import Column, Table, write

MAX_COLUMNS = 11  # alphas in the printed table; the CSV file has all


def main(study: Study, out: Path) -> None:
    curves = study.read("alpha")
    curves = curves[curves.dataset.isin(study.real_datasets)]
    frame = grid(study, curves)
    alphas = [column for column in frame if column.startswith("alpha_")]
    shown = alphas if len(alphas) <= MAX_COLUMNS else alphas[:: -(-len(alphas) // MAX_COLUMNS)]
    columns = [
        Column("_label", "Model", "text"),
        Column("blend", "Blend", "text"),
        Column("split", "Split", "text"),
        *[Column(key, key.removeprefix("alpha_"), group="Hits@20 at α") for key in shown],
        Column("best_alpha", "α", "alpha", "At the best α on validation"),
        Column("Hits@20", "Hits@20", group="At the best α on validation"),
        Column("NDCG@20", "NDCG@20", group="At the best α on validation"),
        Column("used", "α in use", "text"),
    ]
    caption = (
        "Parameter study of α, the weight of the ID score (the text score has 1 − α): Hits@20 over all prefixes, "
        "in percent, mean over seeds, for raw and for z-scored blending. The best value of each row is in bold."
    )
    notes = [
        "The best α is chosen on validation Hits@20. The test rows show the test scores at that α.",
        *study.data_notes(),
        *study.ensemble_notes(frame.model),
    ]
    write(Table("table_parameter_study", caption, frame, columns, notes, best_of_rows(frame, shown)), out)


def grid(study: Study, curves: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset, model, blend and split: the grid, and the metrics at the best alpha on validation."""
    key = ["dataset", "model", "blend"]
    means = curves.groupby([*key, "split", "metric", "alpha"]).value.mean().unstack("alpha").reset_index()
    alphas = sorted(curves.alpha.unique())
    hits = select(means, metric="Hits").assign(_split=lambda t: t.split == "test")
    rows = sort_rows(hits, study, "blend", "_split")
    validation = select(means, metric="Hits", split="validation").set_index(key)[alphas]
    best = validation.astype(float).idxmax(axis=1) if len(validation) else {}
    rows["best_alpha"] = [best.get(tuple(row)) for row in rows[key].to_numpy()]
    for metric in ("Hits", "NDCG"):
        values = select(means, metric=metric).set_index([*key, "split"])
        at = [values[row.best_alpha].get((*row[key], row.split)) for _, row in rows.iterrows()]
        rows[f"{metric}@20"] = pd.Series(at, dtype=float)
    rows["used"] = [in_use(select(curves, **row[key])) for _, row in rows.iterrows()]
    labels = pd.Series(map(study.label, rows.model), dtype=object)
    names = {alpha: f"alpha_{alpha:g}" for alpha in alphas}
    return (
        rows.drop(columns="metric")
        .rename(columns=names)
        .assign(_label=labels, _section=rows.dataset.map(study.dataset_label))
    )


def in_use(curves: pd.DataFrame) -> str:
    """The alphas that the model's seeds use with this blend."""
    return ", ".join(
        f"{alpha:g}" for alpha in sorted(curves.alpha[curves.chosen.fillna(False).astype(bool)].unique())
    )


def best_of_rows(frame: pd.DataFrame, keys: list[str]) -> dict[tuple[int, str], str]:
    """The largest printed value of every row."""
    if not keys:
        return {}
    values = frame[keys].round(4)
    tops = values.eq(values.max(axis=1), axis=0)
    return {(row, key): "best" for row in frame.index for key in keys if tops.loc[row, key]}


if __name__ == "__main__":
    run(main, __doc__)
