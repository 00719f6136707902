"""The claims C1 to C8 per dataset: verdict, difference, interval, corrected p, and the rule."""

from pathlib import Path

import pandas as pd
from study import Study, run
from tables import Column, Table, write

COLUMNS = [
    Column("claim", "", "text"),
    Column("statement", "Claim", "text", width="4.6cm"),
    Column("comparison", "Comparison", "text", width="3.6cm"),
    Column("scope", "Prefixes", "text"),
    Column("metric", "Metric", "text"),
    Column("difference", "Points", "points"),
    Column("ci", "95 % interval", "interval"),
    Column("p_holm", "p (Holm)", "p"),
    Column("verdict", "Verdict", "text"),
]


def main(study: Study, out: Path) -> None:
    claims = study.read("claims").rename(columns={"low": "ci_low", "high": "ci_high"})
    place = {dataset: number for number, dataset in enumerate(study.datasets)}
    claims = claims.assign(
        _place=claims.dataset.map(place), _second=~claims.primary.fillna(False).astype(bool)
    )
    claims = claims.sort_values(["_place", "_second", "claim"], kind="stable").reset_index(drop=True)
    kind = claims._second.map({False: "primary", True: "beside it, outside the family"})
    claims["_section"] = claims.dataset + ", " + kind
    caption = (
        "Verdicts on the claims, each by a rule written down before any run. Differences in percentage "
        "points with 95 % intervals (session and seed variance together); p is Holm-corrected over claims "
        "and datasets. 'Undecided' is a verdict."
    )
    write(Table("claims", caption, claims, COLUMNS, [*told(claims), *study.remarks()]), out)


def told(claims: pd.DataFrame) -> list[str]:
    """The rule of every claim, then the notes."""
    rules = claims.drop_duplicates(["claim", "rule"]).sort_values("claim", kind="stable")
    noted = claims[claims.note.notna() & (claims.note != "")].drop_duplicates(["claim", "dataset", "note"])
    return [f"Rule of {row.claim}: {row.rule}" for row in rules.itertuples()] + [
        f"{row.claim} on {row.dataset}: {row.note}" for row in noted.itertuples()
    ]


if __name__ == "__main__":
    run(main, __doc__)
