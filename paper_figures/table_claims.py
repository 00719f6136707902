"""The claims C1 to C8 per dataset: verdict, difference, interval, corrected p, and the rule."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run, select
from _table_writer import Column, Table, write

BESIDE = {
    "NDCG_all": {"scope": "all", "metric": "NDCG"},
    "Hits_last": {"scope": "last", "metric": "Hits"},
    "NDCG_last": {"scope": "last", "metric": "NDCG"},
}
COLUMNS = [
    Column("claim", "", "text"),
    Column("statement", "Claim", "text", width="5cm"),
    Column("comparison", "Comparison that decides", "text", width="4cm"),
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
    claims = select_metric(study.read("claims"))
    caption = (
        "Verdicts on the claims, each by a rule written down before any run, with the difference "
        "(percentage points), interval and p of the comparison that decides. The interval is one of 95 %, "
        "or of 1 − 5 %/m where one of m comparisons suffices. p (Holm) is corrected over claims and "
        "datasets and gives the verdict; components and controls have their own uncorrected p and verdict. "
        "'Undecided' is a verdict."
    )
    notes = [*rules(claims), *told(study, claims), *study.remarks()]
    write(Table("table_claims", caption, arranged(study, claims), COLUMNS, notes), out)


def select_metric(claims: pd.DataFrame) -> pd.DataFrame:
    """The claims with `primary` as a truth value and metrics named without their cut-off."""
    metric = claims.metric.astype(str).str.removesuffix("@20")
    return claims.assign(primary=claims.primary.fillna(False).astype(bool), metric=metric)


def arranged(study: Study, claims: pd.DataFrame) -> pd.DataFrame:
    """Per dataset the claims, then their components and controls; the other verdicts beside the claims."""
    frame = select(claims, scope="all", metric="Hits").rename(columns={"low": "ci_low", "high": "ci_high"})
    for name, where in BESIDE.items():
        side = select(claims, **where).drop_duplicates(["dataset", "claim"])
        side = side[["dataset", "claim", "comparison", "difference", "low", "high", "p_holm", "verdict"]]
        names = {column: f"{name}_{column}" for column in side if column not in ("dataset", "claim")}
        frame = frame.merge(side.rename(columns=names), on=["dataset", "claim"], how="left")
        frame.loc[~frame.primary, list(names.values())] = None
    frame["_place"] = frame.dataset.map(list(study.datasets).index)
    frame["_second"] = ~frame.primary
    frame = frame.sort_values(["_place", "_second", "claim"], kind="stable").reset_index(drop=True)
    kind = frame._second.map({False: "", True: ": components and controls"})
    return frame.assign(_section=frame.dataset.map(study.dataset_label) + kind)


def rules(claims: pd.DataFrame) -> list[str]:
    once = claims.drop_duplicates("claim").sort_values("claim", kind="stable")
    return [f"Rule of {row.claim}: {row.rule}" for row in once.itertuples()]


def told(study: Study, claims: pd.DataFrame) -> list[str]:
    """The notes of the primary rows, those that all rows of a dataset share once."""
    lines = []
    for dataset, rows in select(claims, primary=True).groupby("dataset", sort=False):
        notes = {row.claim: [*filter(None, str(row.note or "").split("; "))] for row in rows.itertuples()}
        shared = [
            note for note in dict.fromkeys(sum(notes.values(), [])) if all(note in n for n in notes.values())
        ]
        label = study.dataset_label(dataset)
        lines += [f"{label}: {'; '.join(shared)}."] if shared and len(notes) > 1 else []
        for claim, own in notes.items():
            rest = [note for note in own if note not in shared or len(notes) == 1]
            lines += [f"{claim} on {label}: {'; '.join(rest)}."] if rest else []
    return lines


if __name__ == "__main__":
    run(main, __doc__)
