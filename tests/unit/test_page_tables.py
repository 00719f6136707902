"""The tables of README.md and docs/, which readme_tables.py writes between markers."""

import importlib
import json
import re

import pandas as pd
import pytest

from alterrec.errors import UserError
from tests.unit import synthetic_summary
from tests.unit.drawings import ROOT, SCRIPTS

MARKERS = (
    "Intro\n\n<!-- syn:main -->\nold\n<!-- /syn:main -->\n\n<!-- syn:claims -->\n<!-- /syn:claims -->\nEnd\n"
)


@pytest.fixture
def readme_tables(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("readme_tables")


def test_page_tables_replace_the_text_between_the_markers(readme_tables, full_summary):
    page = readme_tables.with_tables(MARKERS, "syn", readme_tables.Study(full_summary))
    assert page.startswith("Intro\n\n<!-- syn:main -->\n| Model | Drugstore: Hits@20 |") and page.endswith(
        "<!-- /syn:claims -->\nEnd\n"
    )
    assert "old" not in page and "| Popularity (floor) |" in page
    verdict = next(line for line in page.splitlines() if line.startswith("| C3 "))
    assert re.fullmatch(r"\| C3 .* \| supported \| [−+]\d.* \[.*\] \| supported \| .* \|", verdict)
    assert readme_tables.with_tables(page, "syn", readme_tables.Study(full_summary)) == page


@pytest.mark.parametrize("page", ["no marker", MARKERS + MARKERS, MARKERS.replace("/syn:main", "syn:main")])
def test_page_tables_need_each_marker_once(readme_tables, full_summary, page):
    with pytest.raises(UserError, match="syn:main.* must each occur once"):
        readme_tables.with_tables(page, "syn", readme_tables.Study(full_summary))


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("README.md", "beauty"),
        ("results/reference/beauty/README.md", "beauty"),
        ("results/reference/games/README.md", "games"),
        ("docs/demo.md", "demo"),
    ],
)
def test_committed_pages_have_the_tables_of_the_committed_summaries(readme_tables, page, name):
    assert readme_tables.PAGES[page] == name
    text = (ROOT / page).read_text("utf-8")
    study = readme_tables.Study(ROOT / "results" / "reference" / name / "summary")
    assert readme_tables.with_tables(text, name, study) == text, "run `python paper_figures/readme_tables.py`"


def test_labels_replace_whole_keys_only(readme_tables, full_summary):
    study = readme_tables.Study(full_summary)
    keys = "alterrec_aug, alterrec - late_ensemble on journey-drugstore, not random words or id_only_twice"
    assert study.with_labels(keys) == (
        "AlterRec (aug), AlterRec - Late ensemble on Drugstore, not random words or id_only_twice"
    )


def test_a_model_that_the_study_lacks_is_named_by_its_label(readme_tables, tmp_path):
    folder = synthetic_summary.write(tmp_path, models=("id_only", "alterrec"), datasets=("beauty",))
    facts = folder / "study.json"
    assert readme_tables.Study(folder).with_labels("not run: fusion_gate") == "not run: fusion_gate", "older"
    lacking = {"fusion_gate": {"family": "fusion", "label": "Gate fusion"}}
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"models_not_in_study": lacking}))
    study = readme_tables.Study(folder)
    assert study.with_labels("not run: fusion_gate") == "not run: Gate fusion"
    assert study.missing_models(["fusion_gate", "alterrec"]) == ["Not in this study: Gate fusion."]


def test_the_best_naive_fusion_is_no_variant_of_another_one(readme_tables, tmp_path):
    models = ("id_only", "fusion_sum", "fusion_concat", "fusion_sum_ogm")
    folder = synthetic_summary.write(tmp_path, models=models, datasets=("beauty",))
    tail = pd.read_parquet(folder / "long_tail.parquet").assign(best_fusion=None)
    tail.to_parquet(folder / "long_tail.parquet")
    study = readme_tables.Study(folder)
    assert study.naive_fusions() == ["fusion_sum", "fusion_concat"]
    means = study.validation_hits("beauty").mean()
    assert means.idxmax() == "fusion_sum_ogm"
    assert study.best_fusion("beauty") == means[["fusion_sum", "fusion_concat"]].idxmax()
