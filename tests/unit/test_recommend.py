"""`alterrec recommend` gives the lists that the run itself stored, without training anything again."""

import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from alterrec.data.dataset import Dataset
from alterrec.data.text_vectors import encode_dataset
from alterrec.engine import training_loop
from alterrec.errors import UserError
from alterrec.execute import execute_run
from alterrec.recommend import recommend
from alterrec.study.load import load_study
from tests.planted import text_signal
from tests.unit.test_progress import command

PARTS = {  # model -> its columns beside item, title and score
    "popularity": [],
    "markov": [],
    "id_only": [],
    "text_only": [],
    "fusion_sum": ["id", "text"],
    "fusion_score": ["id", "text"],
    "late_ensemble": ["id", "text"],
    "id_ensemble": ["first", "second"],
    "alterrec": ["id", "text"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of the runs of a small study whose sessions follow the topics of texts."""
    study = load_study(
        {
            "name": "small",
            "datasets": ["topics"],
            "models": [*PARTS],
            "seeds": [1],
            "encoder": "tfidf_svd",
            "defaults": {
                "dimension": 16,
                "blocks": 1,
                "epochs": 2,
                "batch_size": 64,
                "k1": 5,
                "max_length": 2,
            },
            "dataset_definitions": {"topics": {"source": "complete_journey", "department": "PRODUCE"}},
        }
    )
    folder = tmp_path_factory.mktemp("results") / "small"
    data = folder / "data" / "topics"
    text_signal(items=60, topics=6, sessions=80).save(data)
    encode_dataset(data, study.encoder_spec("tfidf_svd"), data / "text" / "tfidf_svd.safetensors")
    for dataset, model, seed in study.cells():
        execute_run(
            study.spec(dataset, model, seed), data, folder / "runs" / dataset / model / f"seed-{seed}"
        )
    return folder / "runs" / "topics"


def longest_prefix(runs):
    """The longest prefix of a test instance (item ids), and the list that each run stored for it."""
    dataset = Dataset.load(runs.parents[1] / "data" / "topics")
    stored = pd.read_parquet(runs / "id_only/seed-1/top.parquet").sort_values("position").iloc[-1]
    items = dataset.items_of(stored["session"])[: stored["position"]]
    where = f"session == {stored['session']} and position == {stored['position']}"
    return list(dataset.item_id[items]), dataset, where


@pytest.mark.parametrize("model", PARTS)
def test_the_list_is_the_one_that_the_run_stored(runs, model, monkeypatch):
    def no_training(*_):
        raise AssertionError("a stored run was trained again")

    monkeypatch.setattr(training_loop, "train_epoch", no_training)
    prefix, dataset, where = longest_prefix(runs)
    assert len(prefix) > 2, "the prefix must be longer than max_length"
    run = runs / model / "seed-1"
    table = recommend(run, prefix, 20)
    stored = pd.read_parquet(run / "top.parquet").query(where)["items"].iloc[0]
    assert list(table["item"]) == list(dataset.item_id[stored])
    assert list(table) == ["item", "title", "score", *PARTS[model]]
    assert table["score"].is_monotonic_decreasing
    title_of = dict(zip(dataset.item_id, dataset.text, strict=True))
    assert list(table["title"]) == [title_of[item].split("\n")[0] for item in table["item"]]


def test_the_parts_of_a_joint_score_add_up(runs):
    table = recommend(runs / "fusion_score/seed-1", longest_prefix(runs)[0], 5)
    assert (table["id"] + table["text"]).to_numpy() == pytest.approx(table["score"].to_numpy(), rel=1e-5)


def test_an_unknown_item_and_a_folder_without_a_run_are_reported(runs, tmp_path):
    with pytest.raises(UserError, match=r"items.parquet has no item 'i599' \(did you mean"):
        recommend(runs / "id_only/seed-1", ["i599"], 5)
    with pytest.raises(UserError, match="is no finished run"):
        recommend(tmp_path, ["i1"], 5)


def test_an_ensemble_whose_members_are_gone_is_reported(runs, tmp_path):
    study = tmp_path / "small"
    shutil.copytree(runs.parents[1], study, ignore=shutil.ignore_patterns("text_only"))
    missing = study / "runs/topics/text_only/seed-1"
    with pytest.raises(UserError, match=re.escape(f"{missing} is no finished run")):
        recommend(study / "runs/topics/late_ensemble/seed-1", ["i1"], 5)


@pytest.mark.parametrize(
    ("model", "changed", "file"),
    [
        ("id_only", "data", "data/topics/items.parquet"),
        ("text_only", "text", "data/topics/text/tfidf_svd.safetensors"),
        ("late_ensemble", "requires", "runs/topics/text_only/seed-1/ranks.parquet"),
    ],
)
def test_a_run_is_refused_whose_data_or_members_are_no_longer_those_it_was_made_from(
    runs, tmp_path, model, changed, file
):
    """Another dataset of as many items has other items in the same rows."""
    study = tmp_path / "small"
    shutil.copytree(runs.parents[1], study)
    if changed == "data":
        (study / "data/topics/card.json").unlink()
        text_signal(items=60, topics=6, sessions=80, seed=5).save(study / "data/topics")
    else:
        (study / file).write_bytes((study / file).read_bytes() + b" ")
    with pytest.raises(UserError, match=f"{model}/seed-1: its {changed} changed since it was made"):
        recommend(study / f"runs/topics/{model}/seed-1", ["i1"], 5)


def test_a_number_of_items_below_one_is_refused(runs):
    for k in (0, -1):
        with pytest.raises(UserError, match=f"-k {k}: give the number of items to recommend, at least 1"):
            recommend(runs / "id_only/seed-1", ["i1"], k)


def test_the_command_prints_a_table(runs, tmp_path):
    prefix = longest_prefix(runs)[0]
    done = command(
        tmp_path, "recommend", str(runs / "alterrec/seed-1"), "--items", ",".join(prefix), "-k", "3"
    )
    assert done.returncode == 0, done.stderr
    head, _, *rows = done.stdout.splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        "",
        "item",
        "title",
        "score",
        "id",
        "text",
    ]
    assert [row.split("|")[1].strip() for row in rows] == ["1", "2", "3"]


def imported(folder, *arguments: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from alterrec.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_the_command_imports_no_other_model_and_nothing_that_only_training_needs(runs, tmp_path):
    modules = imported(
        tmp_path, "recommend", str(runs / "alterrec/seed-1"), "--items", longest_prefix(runs)[0][0]
    )
    files = {name.rpartition("_")[0] for name in modules if name.startswith("alterrec_file_")}
    assert files == {"alterrec_file_alterrec"}
    assert not {"scipy.optimize", "triton", "torch._dynamo", "torch._inductor"} & modules


def test_the_version_is_printed_without_a_library(tmp_path):
    assert not {"numpy", "pandas", "pydantic", "torch", "yaml"} & imported(tmp_path, "--version")
