"""`alterrec ranks-from-scores`: the scores of another program become a run like any other; unfit scores are refused."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alterrec.__main__ import main
from alterrec.errors import UserError
from alterrec.execute import rank_scores
from alterrec.ranking.instances import instance_table
from alterrec.ranking.rank_file import check_ranks
from alterrec.study.provenance import RESULTS, WEIGHTS, is_finished, run_problems
from tests.planted import dataset
from tests.reference.literal import target_rank_counts

DATA = dataset(
    [[0, 1, 2, 1], [0, 3, 4], [3, 4], [2, 5, 3], list(range(6)) * 12],
    ["test", "train", "validation", "test", "validation"],
    ["t"] * 6,
)
INSTANCES = instance_table(DATA)


@pytest.fixture
def spec(tmp_path) -> dict:
    """The spec of a model whose rule, other.smk, lies in a folder of its own; the prepared dataset is beside it."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "other.smk").write_text("rule other:\n")
    DATA.save(tmp_path / "data")
    spec = {"dataset": "d", "model": "other", "base": "other", "version": 0, "seed": 1, "encoder": None}
    return spec | {"baselines": [str(tmp_path / "own")], "threads": 1, "portable": False, "config": {}}


def scores_with_ties() -> np.ndarray:
    shape = len(INSTANCES), DATA.catalogue_size
    return np.random.default_rng(0).integers(4, size=shape).astype(np.float32)


def rank_array(spec: dict, folder: Path, scores: np.ndarray, **options) -> Path:
    np.save(folder / "scores.npy", scores)
    rank_scores(spec, folder / "data", folder / "scores.npy", folder / "run", **options)
    return folder / "run"


def test_every_row_of_scores_ranks_the_target_of_its_instance(spec, tmp_path):
    scores = scores_with_ties()
    ranks = pd.read_parquet(rank_array(spec, tmp_path, scores) / "ranks.parquet")
    ranks = check_ranks(ranks, DATA, "ranks.parquet", INSTANCES)
    for row, found in zip(scores, ranks.itertuples(), strict=True):
        assert (found.above, found.ties) == target_rank_counts(row.tolist(), found.target)
    top = pd.read_parquet(tmp_path / "run" / "top.parquet")
    for row, items in zip(scores[INSTANCES["split"] == "test"], top["items"], strict=True):
        assert row[items].tolist() == sorted(row, reverse=True)


def test_the_run_has_the_files_of_a_trained_one(spec, tmp_path):
    run = rank_array(spec, tmp_path, scores_with_ties(), seconds=7)
    assert {path.name for path in run.iterdir()} == {*RESULTS, WEIGHTS, "provenance.json"}
    assert is_finished(spec, tmp_path / "data", run)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["seconds"] == 7 and 0 < metrics["test"]["Hits@20"] <= 1


def test_an_unknown_time_is_left_out(spec, tmp_path):
    run = rank_array(spec, tmp_path, scores_with_ties())
    assert "seconds" not in json.loads((run / "metrics.json").read_text())


def with_value(value: float) -> np.ndarray:
    scores = scores_with_ties()
    scores[3, 2] = value
    return scores


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (scores_with_ties()[1:], r"must be \(77, 6\): one row for each row"),
        (scores_with_ties()[:, 1:], r"is \(77, 5\), it must be \(77, 6\)"),
        (scores_with_ties().ravel(), r"is \(462,\)"),
        (scores_with_ties().astype(np.float64), "are float64, they must be float32"),
        (scores_with_ties().astype(int), "are int64"),
        (with_value(np.nan), r"row 3 \(from 0\) holds NaN or an infinite number"),
        (with_value(-np.inf), "row 3 "),
        (with_value(np.inf), "row 3 "),
        (scores_with_ties().astype(object), "is not a readable .npy file"),
    ],
)
def test_unfit_scores_are_refused_before_anything_is_written(spec, tmp_path, scores, message):
    with pytest.raises(UserError, match=message):
        rank_array(spec, tmp_path, scores)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [None, b"", b"1 2 3", b"\x93NUMPY\x01\x00"])
def test_a_file_that_is_no_array_is_refused(spec, tmp_path, content):
    if content is not None:
        (tmp_path / "scores.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"scores.npy is not a readable .npy file"):
        rank_scores(spec, tmp_path / "data", tmp_path / "scores.npy", tmp_path / "run")


def test_a_truncated_file_is_refused(spec, tmp_path):
    np.save(tmp_path / "scores.npy", scores_with_ties())
    whole = (tmp_path / "scores.npy").read_bytes()
    (tmp_path / "scores.npy").write_bytes(whole[:-4])
    with pytest.raises(UserError, match=r"scores.npy is not a readable .npy file"):
        rank_scores(spec, tmp_path / "data", tmp_path / "scores.npy", tmp_path / "run")


def test_refused_scores_leave_an_older_run_as_it_was(spec, tmp_path):
    run = rank_array(spec, tmp_path, scores_with_ties())
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(UserError, match="NaN"):
        rank_array(spec, tmp_path, with_value(np.nan))
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_model_that_the_suite_trains_gets_no_scores_from_elsewhere(spec, tmp_path):
    with pytest.raises(UserError, match="popularity is trained by `alterrec train`"):
        rank_array(spec | {"model": "popularity", "base": "popularity"}, tmp_path, scores_with_ties())


def test_the_commands_take_a_cell_by_its_names(spec, tmp_path, monkeypatch):
    """`alterrec instances` states the order of the rows; ranks, spec and provenance are those of the study's cell."""
    from alterrec.study.load import load_study

    monkeypatch.chdir(tmp_path)
    config = {"name": "s", "datasets": ["produce"], "models": ["other"], "seeds": [4], "baselines": ["own"]}
    config |= {"dataset_definitions": {"produce": {"source": "complete_journey", "department": "PRODUCE"}}}
    Path("config.json").write_text(json.dumps(config))
    data, run = Path("results/s/data/produce"), Path("results/s/runs/produce/other/seed-4")
    DATA.save(data)
    command(monkeypatch, "instances", "--data", data, "--out", "instances.parquet")
    instances = pd.read_parquet("instances.parquet")
    scores = np.zeros((len(instances), DATA.catalogue_size), np.float32)
    scores[np.arange(len(instances)), instances["target"]] = 1
    np.save("scores.npy", scores)
    cell = ["--config", "config.json", "--dataset", "produce", "--model", "other", "--seed", 4]
    command(monkeypatch, "ranks-from-scores", *cell, "--scores", "scores.npy")
    assert (pd.read_parquet(run / "ranks.parquet")[["above", "ties"]] == 0).all(axis=None)
    study = load_study("config.json")
    assert run_problems(study, Path("results/s"), ("produce", "other", 4)) == []
    Path("own/other.smk").write_text("rule other: # another one\n")
    assert run_problems(study, Path("results/s"), ("produce", "other", 4)) == [
        f"{run}: its code changed since it was made"
    ]


def command(monkeypatch, *words) -> None:
    monkeypatch.setattr(sys, "argv", ["alterrec", *map(str, words)])
    assert main() == 0
