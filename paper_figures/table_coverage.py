"""Coverage of the catalogue, Gini index and mean popularity of the recommendations, and training time."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run, sort_rows
from _table_writer import Column, Table, write

COLUMNS = [
    Column("_label", "Model", "text"),
    Column("coverage", "Coverage (%)", best=1),
    Column("gini", "Gini", "number", best=-1),
    Column("mean_popularity", "Mean popularity", "number"),
    Column("seconds", "Training (s)", "number"),
    Column("total", "Training with its members (s)", "number"),
]


def main(study: Study, out: Path) -> None:
    cell = ["dataset", "model", "seed"]
    runs = study.read("coverage").merge(total_cost(study), on=cell, how="outer")
    values = runs[runs.dataset.isin(study.real_datasets)].groupby(["dataset", "model"])
    keys = [column.key for column in COLUMNS[1:]]
    spread = values[keys].std().add_suffix("_sd")
    frame = sort_rows(values[keys].mean().join(spread).reset_index(), study)
    frame["_group"] = frame.model.map(study.role).astype(int)
    labels = pd.Series(map(study.row_label, frame.model), dtype=object)
    caption = (
        "Diversity of the 20 best items of every test instance. Coverage: share of the catalogue that is "
        "recommended at least once. Gini: inequality of how often items are recommended (0 = all equally often, 1 "
        "= one item only). Mean popularity: mean number of training occurrences of a recommended item. Mean ± "
        "standard deviation over seeds. Best in bold, second underlined."
    )
    notes = [
        "Training time depends on the machine and its load, so it is not a benchmark. The members of an ensemble are the "
        "models whose networks it reads.",
        *study.data_notes(),
        *study.ensemble_notes(frame.model),
    ]
    frame = frame.assign(_label=labels, _section=frame.dataset.map(study.dataset_label))
    write(Table("table_coverage", caption, frame, COLUMNS, notes), out)


def total_cost(study: Study) -> pd.DataFrame:
    """The seconds of every run, and `total`: these and the seconds of the runs whose networks it reads."""
    cost = study.read("cost")
    seconds = cost.set_index(["dataset", "model", "seed"]).seconds
    members = {
        model: [name for name in about.get("networks", []) if name != model]
        for model, about in study.models.items()
    }
    total = [
        run.seconds
        + sum(seconds.get((run.dataset, name, run.seed), float("nan")) for name in members[run.model])
        for run in cost.itertuples()
    ]
    return cost.assign(total=total)


if __name__ == "__main__":
    run(main, __doc__)
