"""Seconds per true label: learning curves have the labels of every epoch, and the table divides the right numbers."""

import runpy
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import save_file

from alterrec.bench import learning_curves
from alterrec.errors import UserError
from tests.planted import id_signal, word_vectors
from tests.unit.drawings import SCRIPTS

CONFIG = {
    "name": "try",
    "datasets": ["planted"],
    "models": ["popularity", "id_only", "late_ensemble", "alterrec", "s3rec", "text_only"],
    "seeds": [1],
    "encoder": "tfidf_svd",
    "portable": True,  # is not asked for where costs are measured
    "dataset_definitions": {"planted": {"source": "table", "sessions": "none.csv", "items": "none.csv"}},
    "defaults": {"dimension": 8, "batch_size": 64, "m_gap": 1, "m_random": 2, "k1": 2, "k2": 10},
}


@pytest.fixture
def script(monkeypatch):
    """The names that the script defines."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return runpy.run_path(str(SCRIPTS / "seconds_per_label.py"))


def history(model: str, seed: int, rows: list[tuple[str, str, int, float]]) -> pd.DataFrame:
    """The learning curve with these rows: network, mode, labels so far, seconds."""
    table = pd.DataFrame(rows, columns=["network", "mode", "labels", "seconds"])
    return table.assign(model=model, seed=seed, device="CPU")


def test_the_fastest_epoch_counts_and_two_networks_are_averaged(script):
    curves = pd.concat(
        [
            history(
                "id_only", 1, [("id", "full", 100, 9.0), ("id", "full", 200, 1.0), ("id", "full", 300, 2.0)]
            ),
            history(
                "alterrec",
                1,
                [
                    ("id", "random", 100, 3.0),
                    ("text", "random", 50, 2.0),
                    ("id", "hard", 200, 8.0),
                    ("text", "hard", 150, 6.0),
                    ("id", "hard", 300, 4.0),
                ],
            ),
            history("id_only", 2, [("id", "full", 100, 2.0)]),
            history("alterrec", 2, [("id", "random", 100, 2.0)]),
        ],
        ignore_index=True,
    )
    times = script["ratios"](script["seconds_per_label"](curves)).set_index(["model", "seed", "mode"])
    assert times.loc["id_only", 1, "full"][["time", "ratio"]].tolist() == [0.01, 1]
    assert times.loc["alterrec", 1, "random"][["time", "ratio"]].tolist() == pytest.approx([0.035, 3.5])
    assert times.loc["alterrec", 1, "hard"][["time", "ratio"]].tolist() == pytest.approx([0.05, 5])
    assert times.loc["alterrec", 2, "random"].ratio == 1
    assert "| `alterrec` | random negatives | 27500.0 | 2.25 | 1.00 to 3.50 |" in script["page"](
        times.reset_index()
    )


def test_without_id_only_there_is_nothing_to_divide_by(script):
    curves = history("text_only", 3, [("text", "full", 100, 1.0)])
    with pytest.raises(UserError, match="id_only did not train with seed 3"):
        script["ratios"](script["seconds_per_label"](curves))


def test_every_model_of_a_study_that_trains_a_network_has_a_row(tmp_path, monkeypatch):
    data = id_signal(items=40, sessions=120)
    data.save(tmp_path / "data")
    (tmp_path / "data/text").mkdir()
    vectors, text_of_item = word_vectors(data)
    save_file(
        {"vectors": vectors, "text_of_item": text_of_item}, tmp_path / "data/text/tfidf_svd.safetensors"
    )
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    command = (
        "curves --config config.yaml --dataset planted --data data --seeds 1 2 --epochs 2 --out curves.csv"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", command.split())
    learning_curves.main()
    curves = pd.read_csv("curves.csv")
    assert list(dict.fromkeys(zip(curves.seed, curves.model, strict=True))) == [
        (seed, model) for seed in (1, 2) for model in ("id_only", "alterrec", "s3rec", "text_only")
    ]
    instances = int(data.targets[data.sessions_of("train")].sum())
    of_id = curves[(curves.model == "id_only") & (curves.seed == 1)]
    assert np.array_equal(of_id.labels, instances * of_id.epoch)

    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setattr(sys, "argv", ["seconds_per_label", ".", "curves.csv"])
    runpy.run_path(str(SCRIPTS / "seconds_per_label.py"), run_name="__main__")
    lines = (tmp_path / "seconds_per_label.md").read_text().splitlines()
    rows = {tuple(cell.strip() for cell in line.split("|")[1:3]) for line in lines if line.startswith("| `")}
    assert rows == {
        ("`id_only`", "full softmax"),
        ("`alterrec`", "random negatives"),
        ("`alterrec`", "hard negatives"),
        ("`s3rec`", "pre-training"),
        ("`s3rec`", "full softmax, after pre-training"),
        ("`text_only`", "full softmax"),
    }
