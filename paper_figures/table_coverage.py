"""Coverage of the catalogue, Gini index and mean popularity of the recommendations."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run, sort_rows
from _table_writer import Column, Table, write

COLUMNS = [
    Column("_label", "Model", "text"),
    Column("coverage", "Coverage (%)", best=1),
    Column("gini", "Gini", "number", best=-1),
    Column("mean_popularity", "Mean popularity", "number"),
]


def main(study: Study, out: Path) -> None:
    runs = study.read("coverage")
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
    notes = [*study.data_notes(), *study.ensemble_notes(frame.model)]
    frame = frame.assign(_label=labels, _section=frame.dataset.map(study.dataset_label))
    write(Table("table_coverage", caption, frame, COLUMNS, notes), out)


if __name__ == "__main__":
    run(main, __doc__)
