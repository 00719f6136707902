"""What the networks of each model were trained on: optimiser steps, true labels, and the epochs that are kept."""

from pathlib import Path

from _summary_folder import Study, run, sort_rows
from _table_writer import Column, Table, write

NETWORKS = {"id": "ID", "text": "text", "joint": "ID and text"}
COLUMNS = [
    Column("_label", "Model", "text"),
    Column("_network", "Network", "text"),
    Column("updates", "Optimiser steps", "count"),
    Column("labels", "True labels", "count"),
    Column("best_epoch", "Kept epoch", "number"),
    Column("treated_epoch", "Treated from epoch", "number"),
]


def main(study: Study, out: Path) -> None:
    budgets = study.read("budgets")
    budgets = budgets[budgets.dataset.isin(study.real_datasets)]
    keys = ["dataset", "model", "network"]
    means = budgets.groupby(keys)[[column.key for column in COLUMNS[2:]]].mean().reset_index()
    frame = sort_rows(means, study, "network")
    frame = frame.assign(
        _label=[study.label(model) for model in frame.model],
        _network=frame.network.map(NETWORKS),
        _section=frame.dataset.map(study.dataset_label),
    )
    caption = (
        "Budgets: optimiser steps and true labels of each network, and the epoch of the run whose weights are kept, means "
        "over seeds. A label counts as often as it was trained on; additional labels are not true ones. Treated from epoch: "
        "the network's first epoch on hard negatives or additional labels, or with a frozen branch. An ensemble has the "
        "networks of the runs that it is made of; where these are of one kind, their mean is shown."
    )
    write(Table("table_budgets", caption, frame, COLUMNS, study.data_notes()), out)


if __name__ == "__main__":
    run(main, __doc__)
