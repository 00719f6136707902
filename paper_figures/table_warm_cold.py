"""Hits@20 for all, warm and cold targets, ranked in the full catalogue and among the items not in the prefix."""

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
        "Warm and cold targets: test Hits@20 over all prefixes, in percent (mean ± standard deviation over seeds). "
        "A target is cold if it occurs in no training session. 'Unseen items only' removes the items of the prefix "
        "from the catalogue, so a target that is in its prefix is a miss. Best in bold, second underlined; floor "
        "and ceiling rows are left out of that."
    )
    rows = pd.concat(frames, ignore_index=True)
    data = study.read("datasets")
    data = data[data.dataset.isin(study.real_datasets)]
    notes = [
        f"{study.dataset_label(row.dataset)}: {row.cold_test_targets:,.0f} cold test targets."
        for row in data.itertuples()
    ]
    if unranked := sorted(set(rows.loc[rows.all_unseen.isna(), "_label"])):
        notes.append(f"Not ranked among unseen items: {', '.join(unranked)}.")
    notes += study.data_notes() + study.ensemble_notes(rows.model)
    write(Table("table_warm_cold", caption, rows, COLUMNS, notes), out)


if __name__ == "__main__":
    run(main, __doc__)
