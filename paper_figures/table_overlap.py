"""Overlap: how many targets the ID part and the text part of a model both find, and how many either finds."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run
from _table_writer import Column, Table, write

WANTED = {
    "Hits@20": {},
    "id_Hits@20": {"part": "id"},
    "text_Hits@20": {"part": "text"},
    "both": {"part": "both"},
}
COLUMNS = [
    Column("_label", "Model", "text"),
    Column("id_Hits@20", "ID part", group="Hits@20 of"),
    Column("text_Hits@20", "text part", group="Hits@20 of"),
    Column("both", "both parts", group="Target among the 20 best of"),
    Column("either", "at least one part", group="Target among the 20 best of"),
    Column("Hits@20", "Hits@20 of the whole model"),
]


def main(study: Study, out: Path) -> None:
    frame = pd.concat([overlap(study, dataset) for dataset in study.real_datasets], ignore_index=True)
    caption = (
        "Overlap of the two parts of a model: test split, all prefixes, in percent of the targets (mean ± standard "
        "deviation over seeds). The more targets only one of the parts finds, the more a model can gain by adding their "
        "scores."
    )
    notes = ["Models without a part for each modality are left out.", *study.data_notes()]
    write(Table("table_overlap", caption, frame, COLUMNS, notes), out)


def overlap(study: Study, dataset: str) -> pd.DataFrame:
    """Rows of the models of one dataset that have both parts."""
    table = study.scores(dataset, WANTED).dropna(subset="both").reset_index(drop=True)
    table["either"] = table["id_Hits@20"] + table["text_Hits@20"] - table["both"]
    return table.assign(_section=study.dataset_label(dataset))


if __name__ == "__main__":
    run(main, __doc__)
