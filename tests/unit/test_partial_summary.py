"""Summaries of studies that lack seeds, models, fusions or a twin's original, and runs that cannot be summarised."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alterrec.analysis.summary import PERMUTED_TEXTS, summarise
from alterrec.analysis.summary_schema import COLUMNS
from alterrec.errors import UserError
from alterrec.ranking.instances import instance_table
from alterrec.study.load import load_study
from alterrec.study.summary_input import summary_input
from tests.unit.planted_runs import RATES, RESAMPLES, planted_dataset, planted_ranks, planted_study


def test_a_study_of_one_model_and_one_seed_has_all_files(tmp_path):
    summarise(
        planted_study(tmp_path, {"d": None}, {"text_only": 0.1}, seeds=(1,)), tmp_path / "summary", RESAMPLES
    )
    assert {path.stem for path in (tmp_path / "summary").glob("*.parquet")} == set(COLUMNS)
    claims = pd.read_parquet(tmp_path / "summary" / "claims.parquet")
    assert (claims.verdict == "not tested").all()
    assert claims.note.str.contains("not run").any()


def test_with_one_seed_only_question_i_is_answered(tmp_path):
    summarise(
        planted_study(tmp_path, {"d": None}, {"id_only": 0.1, "alterrec": 0.3}, seeds=(1,)),
        tmp_path,
        RESAMPLES,
    )
    row = pd.read_parquet(tmp_path / "significance.parquet").iloc[0]
    assert row[["se", "low", "high", "p", "boot_low", "boot_high", "p_holm", "p_bh"]].isna().all()
    assert row[["difference", "se_i", "p_i", "p_signflip", "p_wilcoxon"]].notna().all()


def test_a_study_without_fusions_has_every_column(tmp_path):
    study = planted_study(tmp_path, {"real": None})
    kept = {
        name: about for name, about in study["models"].items() if about["family"] not in ("fusion", "method")
    }
    study |= {"models": kept, "cells": [cell for cell in study["cells"] if cell["model"] in kept]}
    summarise(study, tmp_path / "summary", RESAMPLES)
    history = pd.read_parquet(tmp_path / "summary" / "history.parquet")
    assert set(COLUMNS["history"]) <= set(history.columns)
    tuning = pd.read_parquet(tmp_path / "summary" / "tuning.parquet")
    assert list(tuning.columns) == [*COLUMNS["tuning"]] and tuning.empty, "the study has no tuning record"


def test_an_external_baseline_needs_ranks_only(tmp_path):
    study = planted_study(tmp_path, {"d": None}, {"id_only": 0.1, "alterrec": 0.3}, seeds=(1, 2))
    study["models"]["knn"] = {"base": "knn", "family": "external", "networks": ["knn"], "label": "kNN"}
    dataset, random = planted_dataset(), np.random.default_rng(0)
    for seed in (1, 2):
        path = tmp_path / "runs" / "d" / "knn" / f"seed-{seed}"
        path.mkdir(parents=True)
        ranks = planted_ranks(instance_table(dataset), dataset.catalogue_size, 0.2, random).astype(
            {"above": np.int64}
        )
        ranks.sample(frac=1, random_state=1).to_parquet(path / "ranks.parquet")
        study["cells"].append({"dataset": "d", "model": "knn", "seed": seed, "path": str(path)})
    summarise(study, tmp_path / "summary", RESAMPLES)
    significance = pd.read_parquet(tmp_path / "summary" / "significance.parquet")
    assert set(significance.model_b) == {"id_only", "knn"}
    assert np.isfinite(significance.p).all()
    coverage = pd.read_parquet(tmp_path / "summary" / "coverage.parquet")
    assert set(coverage.model) == {"id_only", "alterrec"}
    cost = pd.read_parquet(tmp_path / "summary" / "cost.parquet").set_index("model")
    assert cost.loc["knn", "seconds"].isna().all()


def test_a_permuted_dataset_without_its_original_is_a_dataset_like_any_other(tmp_path):
    definitions = {
        "plain": {"source": "complete_journey", "department": "DRUG GM"},
        "permuted": {"base": "plain", "text_control": "permuted"},
    }
    config = {"name": "try", "models": ["text_only"], "seeds": [1], "dataset_definitions": definitions}
    for selected, twin_of in ((["permuted"], None), (["plain", "permuted"], "plain")):
        study = summary_input(load_study(config | {"datasets": selected}), tmp_path)
        assert study["datasets"]["permuted"]["twin_of"] == twin_of
    rates = {"id_only": 0.1, "alterrec": 0.3}
    planted = planted_study(tmp_path, {"permuted": None}, rates, config={"text_control": "permuted"})
    summarise(planted, tmp_path / "summary", RESAMPLES)
    claims = pd.read_parquet(tmp_path / "summary" / "claims.parquet")
    assert set(claims.dataset) == {"permuted"}
    assert claims.primary.sum() == 8
    assert claims.note.str.contains(PERMUTED_TEXTS).all(), "a reader must see that the texts are no evidence"
    assert claims[claims.claim == "C8"].note.str.contains("no twin").all()
    assert len(pd.read_parquet(tmp_path / "summary" / "permuted.parquet")) == 0


def test_no_run_is_left_out_if_a_dataset_has_two_twins(tmp_path):
    datasets = {"d": None, "d-first": "d", "d-second": "d"}
    summarise(planted_study(tmp_path, datasets, {"text_only": 0.2}), tmp_path / "summary", RESAMPLES)
    assert set(pd.read_parquet(tmp_path / "summary" / "metrics.parquet").dataset) == set(datasets)
    assert list(pd.read_parquet(tmp_path / "summary" / "permuted.parquet").twin) == ["d-first", "d-second"]


def test_a_missing_or_broken_run_is_named(tmp_path):
    study = planted_study(tmp_path, {"d": None}, {"id_only": 0.1}, seeds=(1,))
    shutil.rmtree(study["cells"][0]["path"])
    with pytest.raises(UserError, match=r"runs/d/id_only/seed-1/ranks.parquet is missing"):
        summarise(study, tmp_path / "summary")
    (path := Path(study["cells"][0]["path"])).mkdir()
    (path / "ranks.parquet").write_text("nonsense")
    with pytest.raises(UserError, match=r"ranks.parquet is not a readable parquet file"):
        summarise(study, tmp_path / "summary")
    assert not (tmp_path / "summary").exists()


def test_top_lists_outside_the_catalogue_are_refused(tmp_path):
    study = planted_study(tmp_path, {"d": None}, {"id_only": RATES["id_only"]}, seeds=(1,))
    path = Path(study["cells"][0]["path"]) / "top.parquet"
    top = pd.read_parquet(path)
    top["items"] = [[400], *top["items"].iloc[1:].map(list)]
    top.to_parquet(path)
    with pytest.raises(UserError, match="top.parquet: items must be row numbers of the catalogue, 0 to 399"):
        summarise(study, tmp_path / "summary")
