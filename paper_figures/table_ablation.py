"""Ablation: every variant of AlterRec and the late ensembles, with the difference from AlterRec."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run, select
from _table_writer import Column, Table, write

WANTED = {"Hits@20": {}, "NDCG@20": {"metric": "NDCG"}, "last_Hits@20": {"scope": "last"}}
COLUMNS = [
    Column("_label", "Model", "text"),
    Column("Hits@20", "Hits@20", best=1),
    Column("NDCG@20", "NDCG@20", best=1),
    Column("last_Hits@20", "Hits@20, last item", best=1),
    Column("difference", "Hits@20", "points", "Minus AlterRec"),
    Column("ci", "95 % interval", "interval", "Minus AlterRec"),
    Column("p_holm", "p (Holm)", "p", "Minus AlterRec"),
]


def main(study: Study, out: Path) -> None:
    variants = [m for m in study.models if study.base(m).startswith(("alterrec", "late_ensemble"))]
    frames = [compared(study, dataset, variants) for dataset in study.real_datasets]
    caption = (
        "Ablation: variants of AlterRec and the late ensembles on the test split, in percent (mean ± standard "
        "deviation over seeds). Differences are in percentage points, with 95 % intervals that include the "
        "variance over sessions and over seeds."
    )
    notes = study.data_notes() + study.ensemble_notes(variants)
    notes += study.missing_models(["alterrec", "alterrec_aug", "alterrec_random", "late_ensemble"])
    write(Table("table_ablation", caption, pd.concat(frames, ignore_index=True), COLUMNS, notes), out)


def compared(study: Study, dataset: str, variants: list[str]) -> pd.DataFrame:
    """Rows of one dataset. The summary stores AlterRec minus the variant, so the sign is changed here."""
    table = study.scores(dataset, WANTED)
    table = table[table.model.isin(variants)].reset_index(drop=True)
    tests = select(study.significance, dataset=dataset, model_a="alterrec", scope="all", metric="Hits")
    tests = tests.set_index("model_b")
    for key, column, sign in (
        ("difference", "difference", -1),
        ("ci_low", "high", -1),
        ("ci_high", "low", -1),
    ):
        table[key] = sign * table.model.map(tests[column]).astype(float)
    return table.assign(
        p_holm=table.model.map(tests.p_holm).astype(float), _section=study.dataset_label(dataset)
    )


if __name__ == "__main__":
    run(main, __doc__)
