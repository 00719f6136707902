"""Pairwise differences with intervals and p-values: the method's beside these trained models'."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, in_order, run, select
from _table_writer import Column, Table, write

SIDES = {"NDCG@20": {"scope": "all", "metric": "NDCG"}, "last_Hits@20": {"scope": "last", "metric": "Hits"}}
MAIN = "Hits@20, all prefixes"
COLUMNS = [
    Column("_label", "Difference of", "text"),
    Column("difference", "Points", "points", MAIN),
    Column("ci", "95 % interval", "interval", MAIN),
    Column("p", "p", "p", MAIN),
    Column("p_holm", "p (Holm)", "p", MAIN),
    Column("p_i", "p (these models)", "p", MAIN),
    Column("boot", "Bootstrap 95 %", "interval", MAIN),
    Column("NDCG@20_difference", "Points", "points", "NDCG@20, all prefixes"),
    Column("NDCG@20_p_holm", "p (Holm)", "p", "NDCG@20, all prefixes"),
    Column("last_Hits@20_difference", "Points", "points", "Hits@20, last item"),
    Column("last_Hits@20_p_holm", "p (Holm)", "p", "Hits@20, last item"),
]


def main(study: Study, out: Path) -> None:
    caption = (
        "Differences between models on the test split in percentage points, with 95 % intervals. p and the "
        "interval take session and seed variance together (the method's question); 'these models' averages "
        "the seeds and resamples sessions only; the bootstrap resamples sessions and seeds."
    )
    notes = [
        "The unit of resampling is the session. p (Holm) is corrected over the pairs of one dataset, scope "
        "and metric. Wilcoxon and sign-flip p-values are in the CSV file.",
        *study.remarks(),
    ]
    write(Table("table_significance", caption, compared(study), COLUMNS, notes), out)


def compared(study: Study) -> pd.DataFrame:
    """One row per dataset and pair: the primary test, and difference and p of the others."""
    pair, tests = ["dataset", "model_a", "model_b"], select(study.significance)
    frame = select(tests, scope="all", metric="Hits").rename(columns={"low": "ci_low", "high": "ci_high"})
    for name, where in SIDES.items():
        side = select(tests, **where)[[*pair, "difference", "p_holm"]]
        names = {"difference": f"{name}_difference", "p_holm": f"{name}_p_holm"}
        frame = frame.merge(side.rename(columns=names), on=pair, how="left")
    frame = frame[frame.dataset.isin(study.real_datasets)].rename(columns={"model_a": "model"})
    frame = in_order(frame, study).rename(columns={"model": "model_a"})
    label = [f"{study.label(row.model_a)} − {study.label(row.model_b)}" for row in frame.itertuples()]
    frame = frame.assign(
        _label=pd.Series(label, dtype=object), _section=frame.dataset.map(study.dataset_label)
    )
    frame["_group"] = (frame.model_a != "alterrec").astype(int)
    by_dataset = frame.dataset.map(list(study.datasets).index)
    return (
        frame.assign(_place=by_dataset)
        .sort_values(["_place", "_group"], kind="stable")
        .reset_index(drop=True)
    )


if __name__ == "__main__":
    run(main, __doc__)
