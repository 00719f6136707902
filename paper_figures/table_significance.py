"""Pairwise differences with intervals and p-values, for both questions: new seeds (ii) and these trained models (i)."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run, select, sort_rows
from _table_writer import Column, Table, write

OTHER_METRICS = {
    "NDCG@20": {"scope": "all", "metric": "NDCG"},
    "last_Hits@20": {"scope": "last", "metric": "Hits"},
}
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
    frame = compared(study)
    caption = (
        "Differences between models on the test split in percentage points, with 95 % intervals. Interval and p "
        "answer question (ii), the method under new seeds: they include the variance over sessions and over seeds. "
        "p (these models) answers question (i), these trained models: it averages the seeds and includes the "
        "variance over sessions only. The bootstrap resamples sessions and seeds."
    )
    notes = [
        "The unit of resampling is the session. p (Holm) is corrected over the pairs of one dataset, scope "
        "and metric. Wilcoxon and sign-flip p-values are in the CSV file.",
        *study.data_notes(),
        *study.ensemble_notes([*frame.model_a, *frame.model_b]),
    ]
    write(Table("table_significance", caption, frame, COLUMNS, notes), out)


def compared(study: Study) -> pd.DataFrame:
    """One row per dataset and pair: the test on Hits@20 over all prefixes, then difference and p of other metrics."""
    pair, tests = ["dataset", "model_a", "model_b"], study.significance
    frame = select(tests, scope="all", metric="Hits").rename(columns={"low": "ci_low", "high": "ci_high"})
    for name, where in OTHER_METRICS.items():
        other = select(tests, **where)[[*pair, "difference", "p_holm"]]
        names = {"difference": f"{name}_difference", "p_holm": f"{name}_p_holm"}
        frame = frame.merge(other.rename(columns=names), on=pair, how="left")
    frame = frame[frame.dataset.isin(study.real_datasets)].rename(columns={"model_a": "model"})
    frame = sort_rows(frame, study).rename(columns={"model": "model_a"})
    label = [f"{study.label(row.model_a)} − {study.label(row.model_b)}" for row in frame.itertuples()]
    frame = frame.assign(
        _label=pd.Series(label, dtype=object), _section=frame.dataset.map(study.dataset_label)
    )
    frame["_group"] = (frame.model_a != "alterrec").astype(int)
    by_dataset = frame.dataset.map(list(study.datasets).index)
    return (
        frame.assign(_dataset=by_dataset)
        .sort_values(["_dataset", "_group"], kind="stable")
        .reset_index(drop=True)
    )


if __name__ == "__main__":
    run(main, __doc__)
