"""The report of a study as one HTML page: claims, scores, figures, data, tuning, cost and provenance.

The page holds its figures and links no other file. Its layout is workflow/report/study_report.html.jinja, and the
captions of the figures lie beside it: python paper_figures/study_report.py SUMMARY FIGURES PAGE
"""

import argparse
import base64
import sys
from pathlib import Path
from shlex import join

import pandas as pd
from _captions import FOLDER, caption, captioned, title
from _summary_folder import NOT_TESTED, Study, select, sort_rows
from _table_writer import best_and_second, decimal, interval, probability
from _tuning_record import SETTINGS, record, score_ranges, varied_settings
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from table_main_comparison import COLUMNS, SCOPES, WANTED, scored

from alterrec.errors import UserError
from alterrec.files import write_text

VERDICTS = ("supported", "refuted", "undecided", NOT_TESTED)


def main(summary: Path, figures: Path, page: Path) -> None:
    study = Study(summary)
    layout = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    text = layout.get_template("study_report.html.jinja").render(
        study=study,
        data_notes=study.data_notes(),
        claims=by_dataset(study, claim_rows),
        verdicts=VERDICTS,
        scores=by_dataset(study, score_tables),
        ensemble_notes=study.ensemble_notes(study.models),
        figures=[drawn(figure, summary) for figure in captioned(figures, "png")],
        cards=data_cards(study),
        tuning=by_dataset(study, tuning_rows),
        costs=by_dataset(study, cost_rows),
        hours=study.read("cost").seconds.sum() / 3600,
    )
    write_text(page, text)


def by_dataset(study: Study, rows_of) -> dict[str, list]:
    """Label of a dataset -> what `rows_of` returns for it, without twins and datasets that have nothing to show."""
    found = {study.dataset_label(dataset): rows_of(study, dataset) for dataset in study.real_datasets}
    return {label: rows for label, rows in found.items() if rows}


def claim_rows(study: Study, dataset: str) -> list[dict]:
    """The claims on one dataset, each with its verdict and the comparison that decides it."""
    claims = select(study.claims(), dataset=dataset, primary=True).sort_values("claim", kind="stable")
    return [
        {
            "claim": row.claim,
            "verdict": row.verdict,
            "statement": study.with_labels(row.statement),
            "result": deciding(study, row),
            "rule": study.with_labels(row.rule),
            "note": study.with_labels(row.note or ""),
        }
        for row in claims.itertuples()
    ]


def deciding(study: Study, claim) -> str:
    """The comparison that decides a claim, with its numbers."""
    if pd.isna(claim.difference):
        return "The study lacks models or a twin that the comparison needs."
    return f"{study.with_labels(claim.comparison).replace(' - ', ' − ')}: {numbers(claim)}"


def numbers(row) -> str:
    """A difference in points with its interval and its corrected p."""
    values = {"ci_low": row.low, "ci_high": row.high, "p": row.p_holm}
    points = decimal(100 * row.difference, 2, sign=True)
    return f"{points} points {interval(values, 'ci')}, p (Holm) {probability(values, 'p')}"


def score_tables(study: Study, dataset: str) -> list[dict]:
    """One table of the main comparison for each scope, with the tests behind every number."""
    frame = scored(study, dataset)
    emphasis = best_and_second(frame, COLUMNS)
    tests = {key: tests_of_models(study, dataset, where) for key, where in WANTED.items()}
    tables = []
    for scope, heading in SCOPES.items():
        columns = {key: f"{w['metric']}@{w['k']}" for key, w in WANTED.items() if w["scope"] == scope}
        rows = [
            {
                "label": row["_label"],
                "cells": [
                    score_cell(row, key, emphasis.get((number, key), ""), tests[key].get(row.model, []))
                    for key in columns
                ],
            }
            for number, row in frame.iterrows()
        ]
        tables.append({"scope": heading, "metrics": [*columns.values()], "rows": rows})
    return tables


def score_cell(row: pd.Series, key: str, emphasis: str, tests: list[str]) -> dict:
    spread, mark = row[f"{key}_sd"], row.get(f"{key}_mark")
    return {
        "value": "" if pd.isna(row[key]) else row[key],
        "text": decimal(100 * row[key], 2),
        "spread": "" if pd.isna(spread) else f"± {100 * spread:.2f}",
        "mark": mark if isinstance(mark, str) else "",
        "emphasis": emphasis,
        "tests": "\n".join(tests),
    }


def tests_of_models(study: Study, dataset: str, where: dict) -> dict[str, list[str]]:
    """A line for each test of one model against another, seen from either of them."""
    lines = {}
    for row in select(study.significance, dataset=dataset, **where).itertuples():
        seen_from_b = row._replace(difference=-row.difference, low=-row.high, high=-row.low)
        for model, other, seen in ((row.model_a, row.model_b, row), (row.model_b, row.model_a, seen_from_b)):
            line = f"{study.label(model)} − {study.label(other)}: {numbers(seen)}"
            lines.setdefault(model, []).append(line)
    return lines


def drawn(figure: Path, summary: Path) -> dict:
    """A figure as data, with its caption and the command that draws it again."""
    command = ["python", f"paper_figures/{figure.stem}.py", str(summary), str(figure.parent)]
    return {
        "title": title(figure),
        "caption": caption(figure, "html5"),
        "command": join(command),
        "data": base64.b64encode(figure.read_bytes()).decode(),
    }


def data_cards(study: Study) -> list[dict]:
    """What the summary knows of every dataset, twins included."""
    data = study.read("datasets").set_index("dataset").reindex(list(study.datasets))
    return [
        {
            "label": study.dataset_label(row.Index),
            "facts": {
                "Source": row.source,
                "Licence": row.licence,
                "Twin of": study.dataset_label(row.twin_of) if row.twin_of in study.datasets else None,
                "Sessions": split_counts(row, "sessions"),
                "Prefixes with a target": split_counts(row, "instances"),
                "Items": f"{row.items:,.0f}, of which {row.cold_items:,.0f} occur in no training session",
                "Distinct texts": f"{row.distinct_texts:,.0f}",
                "Mean session length": f"{row.mean_length:.2f}",
                "Test targets without training": f"{row.cold_test_targets:,.0f}",
                "Note": row.note,
            },
        }
        for row in data.itertuples()
    ]


def split_counts(row, kind: str) -> str:
    counts = (f"{getattr(row, f'{kind}_{split}'):,.0f} {split}" for split in ("train", "validation", "test"))
    return ", ".join(counts)


def tuning_rows(study: Study, dataset: str) -> list[dict]:
    """The best trial of every tuned model."""
    points = select(record(study), dataset=dataset)
    settings = varied_settings(points)
    return [
        {
            "model": study.label(row["model"]),
            "trials": row["points"],
            "best": row["best"],
            "settings": [
                *(f"{SETTINGS[s].lower()} {row[s]}" for s in settings if pd.notna(row[s])),
                *filter(pd.notna, [row["own"] or None]),
            ],
            "edge": ", ".join(row["edge"].split()) if pd.notna(row["edge"]) else "",
        }
        for row in score_ranges(study, points).to_dict("records")
    ]


def cost_rows(study: Study, dataset: str) -> list[dict]:
    """Mean seconds of training of one run of every model, alone and with the runs whose networks it reads."""
    means = sort_rows(
        study.cost(dataset).groupby(["dataset", "model"])[["seconds", "total"]].mean().reset_index(), study
    )
    return means.assign(label=[study.label(model) for model in means.model]).to_dict("records")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("summary", type=Path, help="summary folder of a study: results/<name>/summary")
    parser.add_argument("figures", type=Path, help="folder of the study's figures")
    parser.add_argument(
        "page", type=Path, help="file that is written, for example results/<name>/report.html"
    )
    try:
        main(**vars(parser.parse_args()))
    except UserError as error:
        sys.exit(f"error: {error}")
