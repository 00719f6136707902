"""Beyond accuracy: coverage of the catalogue, Gini index, mean popularity, and training time."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, in_order, run
from _table_writer import Column, Table, write

COLUMNS = [
    Column("_label", "Model", "text"),
    Column("coverage", "Coverage (%)", best=1),
    Column("gini", "Gini", "number", best=-1),
    Column("mean_popularity", "Mean popularity", "number"),
    Column("seconds", "Training (s)", "number"),
]


def main(study: Study, out: Path) -> None:
    cell = ["dataset", "model", "seed"]
    runs = study.read("coverage").merge(study.read("cost"), on=cell, how="outer")
    values = runs[runs.dataset.isin(study.real_datasets)].groupby(["dataset", "model"])
    keys = [column.key for column in COLUMNS[1:]]
    spread = values[keys].std().add_suffix("_sd")
    frame = in_order(values[keys].mean().join(spread).reset_index(), study)
    frame["_group"] = frame.model.map(study.role).astype(int)
    labels = pd.Series(map(study.row_label, frame.model), dtype=object)
    caption = (
        "The 20 best items of every test instance: share of the catalogue that is ever recommended, Gini "
        "index of how often (0 = all items alike, 1 = one item only), mean number of training occurrences "
        "of what is recommended; and seconds of training. Mean ± standard deviation over seeds. Best in "
        "bold, second underlined."
    )
    notes = ["Seconds depend on the machine and on what else it did: no benchmark.", *study.remarks()]
    frame = frame.assign(_label=labels, _section=frame.dataset.map(study.dataset_label))
    write(Table("table_coverage", caption, frame, COLUMNS, notes), out)


if __name__ == "__main__":
    run(main, __doc__)
