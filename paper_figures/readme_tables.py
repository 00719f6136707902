"""Rewrites the tables of the pages below from the committed summaries: python paper_figures/readme_tables.py

A table is the text between two markers of a page: `<!-- NAME:main -->` and `<!-- /NAME:main -->` for the scores,
`<!-- NAME:claims -->` and `<!-- /NAME:claims -->` for the verdicts, where NAME is a folder of results/reference.
"""

import re
import sys
from pathlib import Path

import pandas as pd
from _summary_folder import Study, select
from _table_writer import FORMATS, Column, Table, markdown_head, markdown_line, markdown_rows

from alterrec.errors import UserError
from alterrec.files import write_text

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "beauty",
    "results/reference/beauty/README.md": "beauty",
    "results/reference/games/README.md": "games",
    "docs/demo.md": "demo",
}


def main() -> None:
    for page, name in PAGES.items():
        path = ROOT / page
        study = Study(ROOT / "results" / "reference" / name / "summary")
        try:
            write_text(path, with_tables(path.read_text(encoding="utf-8"), name, study))
        except UserError as error:
            raise UserError(f"{path}: {error}") from None


def with_tables(page: str, name: str, study: Study) -> str:
    """The page with the tables of the study `name` between its markers. UserError unless each marker occurs once."""
    for kind, table in {"main": main_table(study), "claims": claims_table(study)}.items():
        start, end = f"<!-- {name}:{kind} -->", f"<!-- /{name}:{kind} -->"
        if page.count(start) != 1 or page.count(end) != 1 or page.index(end) < page.index(start):
            raise UserError(f"the markers {start} and {end} must each occur once, in this order")
        body = "\n".join(
            [*markdown_head(table.columns), *(markdown_line(row) for _, row in markdown_rows(table))]
        )
        page = re.sub(f"{start}.*{end}", lambda _, text=f"{start}\n{body}\n{end}": text, page, flags=re.S)
    return page


def main_table(study: Study) -> Table:
    """Hits@20 and NDCG@20 of every model: test split, all prefixes, full catalogue, a pair of columns per dataset."""
    columns, frames = [Column("_label", "Model", "text")], []
    for dataset in study.real_datasets:
        keys = {f"{dataset}_{metric}": {"metric": metric} for metric in ("Hits", "NDCG")}
        columns += [
            Column(key, f"{changes['metric']}@{study.k}", group=group_title(study, dataset), best=1)
            for key, changes in keys.items()
        ]
        frames.append(
            study.scores(dataset, keys).set_index(["model", "_label", "_group"]).drop(columns="dataset")
        )
    return Table("main", "", pd.concat(frames, axis=1).reset_index(), columns)


def claims_table(study: Study) -> Table:
    """Verdict and deciding difference (points of Hits@20, all prefixes) of every claim, two columns per dataset."""
    claims = select(study.claims(), primary=True)
    claims = claims.rename(columns={"low": "difference_low", "high": "difference_high"})
    frame = claims.drop_duplicates("claim")[["claim", "statement"]].sort_values("claim", ignore_index=True)
    frame["claim"] = frame.claim + " " + frame.statement.map(study.with_labels)
    columns = [Column("claim", "Claim", "text")]
    for dataset in study.real_datasets:
        rows = select(claims, dataset=dataset).sort_values("claim", ignore_index=True)
        frame[f"{dataset}_verdict"] = rows.verdict
        frame[f"{dataset}_difference"] = [difference(row) for _, row in rows.iterrows()]
        group = group_title(study, dataset)
        columns += [
            Column(f"{dataset}_verdict", "Verdict", "text", group),
            Column(f"{dataset}_difference", "Difference in points, with interval", "text", group),
        ]
    return Table("claims", "", frame, columns)


def group_title(study: Study, dataset: str) -> str:
    """The dataset's label above its columns; nothing if the study has one dataset only."""
    return study.dataset_label(dataset) if len(study.real_datasets) > 1 else ""


def difference(row: pd.Series) -> str:
    """The difference with its interval, as in +0.33 [−0.13, 0.80]; empty if the claim could not be tested."""
    if pd.isna(row.difference):
        return ""
    return f"{FORMATS['points'](row, 'difference')} {FORMATS['interval'](row, 'difference')}"


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
