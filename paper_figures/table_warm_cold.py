"""Hits@20 for warm, cold and all targets, against the full catalogue and the unseen items."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run
from _table_writer import Column, Table, write

CATALOGUES = {"full": "Full catalogue", "unseen": "Unseen items only"}
TARGETS = ("all", "warm", "cold")
WANTED = {f"{t}_{c}": {"targets": t, "catalogue": c} for c in CATALOGUES for t in TARGETS}
COLUMNS = [Column("_label", "Model", "text")] + [
    Column(key, where["targets"], group=CATALOGUES[where["catalogue"]], best=1)
    for key, where in WANTED.items()
]


def main(study: Study, out: Path) -> None:
    frames = [
        study.scores(dataset, WANTED).assign(_section=study.dataset_label(dataset))
        for dataset in study.real_datasets
    ]
    caption = (
        "Test Hits@20 over all prefixes by target, in percent: mean ± standard deviation over seeds. A "
        "target is cold where the training sessions do not hold it. 'Unseen' removes the prefix's items "
        "from the catalogue: a target among them is a miss. Best in bold, second underlined; floor and "
        "ceiling rows do not compete."
    )
    rows = pd.concat(frames, ignore_index=True)
    data = study.read("datasets")
    count = data[data.dataset.isin(study.real_datasets)]
    notes = [
        f"{study.dataset_label(row.dataset)}: {row.cold_test_targets:,.0f} cold test targets."
        for row in count.itertuples()
    ]
    if unranked := sorted(set(rows.loc[rows.all_unseen.isna(), "_label"])):
        notes.append(f"Not ranked among unseen items: {', '.join(unranked)}.")
    write(Table("table_warm_cold", caption, rows, COLUMNS, notes + study.remarks()), out)


if __name__ == "__main__":
    run(main, __doc__)
