"""Main comparison: every model on every dataset, all prefixes and last item, with floor and ceiling."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run, select
from _table_writer import Column, Table, write

METRICS = [("Hits", 10), ("Hits", 20), ("NDCG", 10), ("NDCG", 20), ("MRR", 20)]
SCOPES = {"all": "All prefixes", "last": "Last item only"}
WANTED = {f"{m}@{k}_{scope}": {"scope": scope, "metric": m, "k": k} for scope in SCOPES for m, k in METRICS}
COLUMNS = [Column("_label", "Model", "text")] + [
    Column(key, key.split("_")[0], group=SCOPES[where["scope"]], best=1) for key, where in WANTED.items()
]


def main(study: Study, out: Path) -> None:
    frames = [scored(study, dataset) for dataset in study.real_datasets]
    fusions = [
        f"{study.label(f)} on {study.dataset_label(d)}"
        for d in study.real_datasets
        if (f := study.best_fusion(d))
    ]
    caption = (
        "Next-item ranking over the whole catalogue, test split, in percent: mean ± standard deviation "
        "over seeds. Best in bold, second underlined; floor and ceiling rows do not compete."
    )
    notes = [
        "†: differs from the late ensemble; ‡: differs from the best naive fusion "
        f"({'; '.join(fusions) or 'none'}), at p < {study.level} (session and seed variance together, "
        "Holm-corrected over the pairs of one dataset, scope and metric). Tested on Hits@20 and NDCG@20: "
        "AlterRec against every model, and naive fusions against the single networks and the late ensemble. "
        "Elsewhere no mark means not tested.",
        *study.remarks(),
        *study.absent(["late_ensemble", "alterrec", "alterrec_aug"]),
    ]
    frame = pd.concat(frames, ignore_index=True)
    write(Table("table_main_comparison", caption, frame, COLUMNS, notes), out)


def scored(study: Study, dataset: str) -> pd.DataFrame:
    """One dataset's rows with their significance marks."""
    table = study.scores(dataset, WANTED).assign(_section=study.dataset_label(dataset))
    for key, where in WANTED.items():
        marks = pd.Series("", index=table.model)
        for sign, other in (("†", "late_ensemble"), ("‡", study.best_fusion(dataset))):
            marks[marks.index.isin(different_from(study, dataset, where, other))] += sign
        if marks.any():
            table[f"{key}_mark"] = marks.to_numpy()
    return table


def different_from(study: Study, dataset: str, where: dict, other: str | None) -> set[str]:
    """Models whose corrected p against `other` is below the level."""
    tests = select(study.significance, dataset=dataset, **where)
    tests = tests[(tests.p_holm < study.level) & ((tests.model_a == other) | (tests.model_b == other))]
    return {*tests.model_a, *tests.model_b} - {other}


if __name__ == "__main__":
    run(main, __doc__)
