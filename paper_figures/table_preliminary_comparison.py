"""Preliminary comparison: ID only, text only and the naive fusions, with the scores of their parts."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run
from _table_writer import Column, Table, write

WANTED = {
    "Hits@10": {"k": 10},
    "Hits@20": {},
    "NDCG@20": {"metric": "NDCG"},
    "MRR@20": {"metric": "MRR"},
    "id_Hits@20": {"part": "id"},
    "text_Hits@20": {"part": "text"},
}
COLUMNS = [
    Column("_label", "Model", "text"),
    *[Column(key, key, group="Whole model", best=1) for key in list(WANTED)[:4]],
    Column("id_Hits@20", "ID part", group="Hits@20 of", best=1),
    Column("text_Hits@20", "text part", group="Hits@20 of", best=1),
    Column("gain", "Hits@20", "points", "Minus the best single network"),
]
SINGLE = {"id_only": "id_Hits@20", "text_only": "text_Hits@20"}


def main(study: Study, out: Path) -> None:
    frames = [compared(study, dataset) for dataset in study.real_datasets]
    caption = (
        "Preliminary comparison of naive fusions and single networks: test split, all prefixes, in percent (mean ± "
        "standard deviation over seeds). The last column is in percentage points. Best in bold, second underlined."
    )
    notes = [
        "The best single network is chosen on validation Hits@20. The columns of a part rank the catalogue by the "
        "score of that part alone.",
        *study.data_notes(),
        *study.missing_models(SINGLE),
    ]
    frame = pd.concat(frames, ignore_index=True)
    write(Table("table_preliminary_comparison", caption, frame, COLUMNS, notes), out)


def compared(study: Study, dataset: str) -> pd.DataFrame:
    """Rows of one dataset. A network that is trained alone is its own part."""
    table = study.scores(dataset, WANTED | {"validation": {"split": "validation"}})
    table = table[table.model.isin([*SINGLE, *study.naive_fusions()])].reset_index(drop=True)
    for model, part in SINGLE.items():
        rows = table.model == model
        table.loc[rows, [part, f"{part}_sd"]] = table.loc[rows, ["Hits@20", "Hits@20_sd"]].to_numpy()
    singles = table[table.model.isin(SINGLE)].set_index("model")
    best = singles["validation"].idxmax() if len(singles) else None
    table["best_single"] = best
    table["gain"] = table["Hits@20"] - singles["Hits@20"][best] if best else float("nan")
    return table.drop(columns=["validation", "validation_sd"]).assign(_section=study.dataset_label(dataset))


if __name__ == "__main__":
    run(main, __doc__)
