"""The adapter of examples/recbole_sasrec.smk: RecBole reads what the suite's models are given, and scores what they score."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from alterrec.data.dataset import Dataset
from alterrec.ranking.instances import instance_table
from alterrec.ranking.metrics import expected_hits
from alterrec.ranking.rank import rank
from alterrec.ranking.score_file import StoredScores
from alterrec.registry import load_file
from tests.planted import CPU, dataset, random_splits

ROOT = Path(__file__).parents[2]
ADAPTER = load_file(ROOT / "examples" / "_recbole_adapter.py")
SESSIONS = [[4, 0, 0, 5], [1, 2, 3], [6, 1], [0, 3, 2, 1, 6, 5], [2, 0, 4]]
SPLITS = ["test", "train", "validation", "train", "test"]
ITEMS = 10  # the last three of them are in no session


def prepare(data: Dataset, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sessions as they are stored, and the instances in the order of the scores."""
    data.save(folder)
    return pd.read_parquet(folder / "sessions.parquet"), instance_table(data)


def atomic_file(folder: Path, split: str) -> list[tuple[int, list[int], int]]:
    """Session, items of the prefix and target of every row, read by RecBole's rules."""
    header, *lines = (folder / "prepared" / f"prepared.{split}.inter").read_text().splitlines()
    assert header.split("\t") == ["session_id:token", "item_id_list:token_seq", "item_id:token"]
    rows = [line.split("\t") for line in lines]
    return [(int(session), [*map(int, prefix.split(" "))], int(target)) for session, prefix, target in rows]


def test_atomic_files_hold_every_prefix_of_its_split_in_order(tmp_path):
    data = dataset(SESSIONS, SPLITS, ["t"] * ITEMS)
    sessions, instances = prepare(data, tmp_path / "data")
    ADAPTER.write_atomic_files(tmp_path, sessions, data.catalogue_size, instances, length=3)
    catalogue = (tmp_path / "prepared" / "prepared.item").read_text().split()
    assert catalogue == ["item_id:token", *map(str, range(ITEMS))]
    for split in ("train", "validation", "test"):
        assert atomic_file(tmp_path, split) == [
            (session, items[:position][-3:], items[position])
            for session, (items, own) in enumerate(zip(SESSIONS, SPLITS, strict=True))
            if own == split
            for position in range(1, len(items))
        ]


def test_under_leave_last_out_only_the_last_item_is_ranked(tmp_path):
    data = dataset([[1, 2], [1, 2, 3], [1, 2, 3, 0]], ["train", "validation", "test"], ["t"] * 4)
    data.targets[1:] = 1
    sessions, instances = prepare(data, tmp_path / "data")
    ADAPTER.write_atomic_files(tmp_path, sessions, data.catalogue_size, instances, length=50)
    assert atomic_file(tmp_path, "train") == [(0, [1], 2)]
    assert atomic_file(tmp_path, "validation") == [(1, [1, 2], 3)]
    assert atomic_file(tmp_path, "test") == [(2, [1, 2, 3], 0)]


def test_the_conda_environment_has_the_locked_versions():
    lines = (ROOT / "envs" / "recbole.lock").read_text().splitlines()
    environment = yaml.safe_load((ROOT / "envs" / "recbole.yaml").read_text())
    assert environment["dependencies"][-1]["pip"] == [line for line in lines if not line.startswith("#")]
    assert "recbole==1.2.1" in lines


def test_ranks_of_the_scores_give_recboles_own_hits(tmp_path, monkeypatch):
    pytest.importorskip("recbole", reason="RecBole is not installed: envs/recbole.lock")
    from recbole.utils import get_trainer

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["adapter"])  # RecBole's config reads it
    generator = np.random.default_rng(0)
    usual = generator.random((600, 5)) < 0.7  # item i is usually followed by item i + 1
    steps = np.where(usual, 1, generator.integers(40, size=usual.shape))
    walks = (steps.cumsum(axis=1) % 40).tolist()
    data = dataset(walks, random_splits(len(walks), generator), ["t"] * 40)
    sessions, instances = prepare(data, tmp_path / "data")
    settings = {"data_path": str(tmp_path), "seed": 1, "epochs": 3, "train_batch_size": 64}
    settings |= {"n_layers": 1, "learning_rate": 0.01, "topk": [1], "valid_metric": "Hit@1"}
    ADAPTER.write_atomic_files(tmp_path, sessions, data.catalogue_size, instances, 50)
    model, loaders = ADAPTER.train(ADAPTER.SETTINGS | settings, threads=1)
    ADAPTER.write_scores(tmp_path / "scores.npy", model, loaders, data.catalogue_size, instances)
    scorer = StoredScores.open(tmp_path / "scores.npy", data)
    ranks = rank(scorer, data, 50, CPU)[0]
    trainer = get_trainer(loaders[0].config["MODEL_TYPE"], "SASRec")(loaders[0].config, model)
    for split, loader in zip(("validation", "test"), loaders, strict=True):
        of_split = ranks[ranks["split"] == split]
        hits = expected_hits(of_split["above"].to_numpy(), of_split["ties"].to_numpy(), 1).mean()
        own = trainer.evaluate(loader, load_best_model=False)["hit@1"]
        np.testing.assert_allclose(hits, own, atol=1e-4)
        assert 0.3 < hits < 1, f"{split}: a comparison at {hits} shows nothing"
