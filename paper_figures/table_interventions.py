"""Interventions: every variant of a naive fusion beside the untouched fusion, with the quality of its parts."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run, select
from _table_writer import Column, Table, write

WANTED = {"Hits@20": {}, "id_Hits@20": {"part": "id"}, "text_Hits@20": {"part": "text"}}
COLUMNS = [
    Column("_label", "Model", "text"),
    Column("Hits@20", "whole model", group="Hits@20 of"),
    Column("id_Hits@20", "ID part", group="Hits@20 of"),
    Column("text_Hits@20", "text part", group="Hits@20 of"),
    Column("kept_epoch", "Kept epoch", "number"),
    Column("difference", "Hits@20", "points", "Minus the untouched fusion"),
    Column("ci", "95 % interval", "interval", "Minus the untouched fusion"),
    Column("p_holm", "p (Holm)", "p", "Minus the untouched fusion"),
]


def main(study: Study, out: Path) -> None:
    fusions = [m for m in study.naive_fusions() if m in map(study.varied, study.models)]
    frames = [compared(study, dataset, fusion) for dataset in study.real_datasets for fusion in fusions]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["_label"])
    caption = (
        "Interventions on naive fusions: Hits@20 on the test split, all prefixes, in percent (mean ± standard "
        "deviation over seeds), of the whole model and of each part without the other. Differences are in percentage "
        "points, with 95 % intervals that include the variance over sessions and over seeds."
    )
    notes = [
        "The kept epoch is the mean over seeds of the epoch with the best validation Hits@20. Where a branch is frozen "
        "only after the kept epoch, the row says nothing about freezing.",
        *study.data_notes(),
    ]
    write(Table("table_interventions", caption, frame, COLUMNS, notes), out)


def compared(study: Study, dataset: str, fusion: str) -> pd.DataFrame:
    """The untouched fusion and its variants on one dataset."""
    table = study.scores(dataset, WANTED)
    variants = [model for model in study.models if study.varied(model) == fusion]
    table = table.set_index("model").reindex([fusion, *variants]).dropna(subset="Hits@20").reset_index()
    tests = select(study.significance, dataset=dataset, model_b=fusion, scope="all", metric="Hits")
    tests = tests.set_index("model_a").rename(columns={"low": "ci_low", "high": "ci_high"})
    for key in ("difference", "ci_low", "ci_high", "p_holm"):
        table[key] = table.model.map(tests[key]).astype(float)
    history = select(study.read("history"), dataset=dataset).dropna(subset="hits20")
    best = history.loc[history.groupby(["model", "seed"]).hits20.idxmax()]
    table["kept_epoch"] = table.model.map(best.groupby("model").epoch.mean()).astype(float)
    return table.assign(fusion=fusion, _section=f"{study.dataset_label(dataset)}, {study.label(fusion)}")


if __name__ == "__main__":
    run(main, __doc__)
