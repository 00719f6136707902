"""Overlap: how many targets the ID part and the text part of a model both find, and how many either finds."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run, select, sort_rows
from _table_writer import Column, Table, write

FOUND = {"id": "id_Hits@20", "text": "text_Hits@20", "both": "both", "either": "either", "model": "Hits@20"}
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
        "deviation over seeds). In a sum, gate or concat fusion a part is the model with the other modality's vectors set to "
        "their mean over the catalogue; in the others it is a network of its own."
    )
    older = "text" in set(study.metrics.part) and "both" not in set(study.metrics.part)
    notes = ["Models without a part for each modality are left out."]
    notes += ["This summary is older than the table: summarise the study again."] if older else []
    write(Table("table_overlap", caption, frame, COLUMNS, [*notes, *study.data_notes()]), out)


def overlap(study: Study, dataset: str) -> pd.DataFrame:
    """Rows of the models of one dataset that have both parts."""
    where = {key: value for key, value in study.primary.items() if key != "part"}
    scores = select(study.metrics, dataset=dataset, **where)
    runs = scores.pivot(index=["model", "seed"], columns="part", values="value")
    runs = runs.reindex(columns=[*FOUND]).dropna(subset="both")
    runs["either"] = runs["id"] + runs["text"] - runs["both"]
    models = runs.rename(columns=FOUND).groupby("model")
    table = models.mean().join(models.std().add_suffix("_sd")).reset_index()
    labels = pd.Series(map(study.row_label, table.model), dtype=object)
    return sort_rows(
        table.assign(dataset=dataset, _label=labels, _section=study.dataset_label(dataset)), study
    )


if __name__ == "__main__":
    run(main, __doc__)
