"""The claims C1 to C8 on each dataset: verdict, difference, interval, corrected p and rule."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run, select
from _table_writer import Column, Table, write

OTHER_METRICS = {
    "NDCG_all": {"scope": "all", "metric": "NDCG"},
    "Hits_last": {"scope": "last", "metric": "Hits"},
    "NDCG_last": {"scope": "last", "metric": "NDCG"},
}
COLUMNS = [
    Column("claim", "", "text"),
    Column("_statement", "Claim", "text", width="5cm"),
    Column("_comparison", "Deciding comparison", "text", width="4cm"),
    Column("difference", "Points", "points", "Hits@20, all prefixes"),
    Column("ci", "Interval", "interval", "Hits@20, all prefixes"),
    Column("p", "p", "p", "Hits@20, all prefixes"),
    Column("p_holm", "p (Holm)", "p", "Hits@20, all prefixes"),
    Column("verdict", "Verdict", "text", "Hits@20, all prefixes"),
    Column("NDCG_all_verdict", "NDCG@20", "text", "Verdict on"),
    Column("Hits_last_verdict", "Hits@20, last item", "text", "Verdict on"),
    Column("NDCG_last_verdict", "NDCG@20, last item", "text", "Verdict on"),
]


def main(study: Study, out: Path) -> None:
    claims = normalised(study.claims())
    caption = (
        "Verdict on each claim, with the difference (percentage points), interval and p of the deciding comparison. A "
        "rule that was changed after results had been seen says so below; the others were fixed before any run. "
        "Intervals are 95 % intervals; where one of m comparisons is enough for a verdict they are 1 − 5 %/m "
        "intervals. The verdict follows from p (Holm), which is corrected over claims and datasets. Components and "
        "controls have uncorrected p-values and verdicts of their own. 'Undecided' means that the data support neither "
        "the claim nor its opposite, 'not tested' that the study lacks models or a twin that the comparison needs."
    )
    notes = [*map(study.with_labels, [*rules(claims), *notes_of(study, claims)]), *study.data_notes()]
    write(Table("table_claims", caption, arranged(study, claims), COLUMNS, notes), out)


def normalised(claims: pd.DataFrame) -> pd.DataFrame:
    """The claims with metric names without their cut-off."""
    return claims.assign(metric=claims.metric.astype(str).str.removesuffix("@20"))


def arranged(study: Study, claims: pd.DataFrame) -> pd.DataFrame:
    """Per dataset the claims, then components and controls. Claims have columns for the verdicts on other metrics."""
    frame = select(claims, scope="all", metric="Hits").rename(columns={"low": "ci_low", "high": "ci_high"})
    for name, where in OTHER_METRICS.items():
        other = select(claims, **where).drop_duplicates(["dataset", "claim"])
        other = other[["dataset", "claim", "comparison", "difference", "low", "high", "p_holm", "verdict"]]
        names = {column: f"{name}_{column}" for column in other if column not in ("dataset", "claim")}
        frame = frame.merge(other.rename(columns=names), on=["dataset", "claim"], how="left")
        frame.loc[~frame.primary, list(names.values())] = None
    frame["_dataset"] = frame.dataset.map(list(study.datasets).index)
    frame["_second"] = ~frame.primary
    frame = frame.sort_values(["_dataset", "_second", "claim"], kind="stable").reset_index(drop=True)
    kind = frame._second.map({False: "", True: ": components and controls"})
    return frame.assign(
        _section=frame.dataset.map(study.dataset_label) + kind,
        _statement=frame.statement.map(study.with_labels),
        _comparison=frame.comparison.map(study.with_labels).str.replace(" - ", " − "),
    )


def rules(claims: pd.DataFrame) -> list[str]:
    unique = claims.drop_duplicates("claim").sort_values("claim", kind="stable")
    return [f"Rule of {row.claim}: {row.rule}" for row in unique.itertuples()]


def notes_of(study: Study, claims: pd.DataFrame) -> list[str]:
    """The notes of the primary rows. A note that all rows of a dataset share appears once."""
    lines = []
    for dataset, rows in select(claims, primary=True).groupby("dataset", sort=False):
        notes = {row.claim: [*filter(None, str(row.note or "").split("; "))] for row in rows.itertuples()}
        shared = [
            note for note in dict.fromkeys(sum(notes.values(), [])) if all(note in n for n in notes.values())
        ]
        label = study.dataset_label(dataset)
        lines += [f"{label}: {'; '.join(shared)}."] if shared and len(notes) > 1 else []
        for claim, texts in notes.items():
            rest = [note for note in texts if note not in shared or len(notes) == 1]
            lines += [f"{claim} on {label}: {'; '.join(rest)}."] if rest else []
    return lines


if __name__ == "__main__":
    run(main, __doc__)
