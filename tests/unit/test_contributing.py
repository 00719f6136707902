"""CONTRIBUTING.md: the template of a baseline trains and ranks under a new name, and the page's commands work."""

import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from alterrec import registry
from alterrec.execute import execute_run
from alterrec.ranking.metrics import expected_hits
from alterrec.ranking.rank_file import check_ranks
from tests.planted import id_signal
from tests.unit.page_commands import code_blocks, copy_checkout, planned_jobs, run_commands, run_dry

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "baselines" / "_template.py"


@pytest.fixture
def own_baselines(tmp_path) -> Path:
    """A folder of baselines with the template under a new name."""
    folder = tmp_path / "own"
    folder.mkdir()
    shutil.copy(TEMPLATE, folder / "my_baseline.py")
    return folder


def test_the_template_itself_is_not_registered():
    assert TEMPLATE.stem not in registry.models()


def test_a_copy_of_the_template_is_registered_under_its_file_name(own_baselines):
    model = registry.model("my_baseline", [own_baselines])
    assert model.family == "external" and model.deterministic and not model.uses_text


def test_a_copy_of_the_template_trains_and_writes_valid_ranks(own_baselines, tmp_path):
    dataset = id_signal()  # item i is always followed by item i + 1
    dataset.save(tmp_path / "data")
    spec = {"base": "my_baseline", "model": "my_baseline", "baselines": [str(own_baselines)], "config": {}}
    spec |= {"dataset": "planted", "encoder": None, "seed": 1, "threads": 1}
    execute_run(spec, tmp_path / "data", tmp_path / "run")
    ranks = check_ranks(pd.read_parquet(tmp_path / "run" / "ranks.parquet"), dataset, "ranks.parquet")
    test = ranks[ranks["split"] == "test"]
    hits = expected_hits(test["above"].to_numpy(), test["ties"].to_numpy(), 10).mean()
    assert hits > 0.9, f"Hits@10 is {hits:.3f}; chance is {10 / dataset.catalogue_size:.3f}"


def test_the_commands_of_the_page_plan_one_training_run(tmp_path):
    copy_checkout(tmp_path)
    jobs = planned_jobs(run_dry(code_blocks("CONTRIBUTING.md", "sh")[0], tmp_path))
    assert jobs["train"] == jobs["prepare"] == 1 and jobs["total"] == 2


def test_the_example_of_another_program_plans_its_scores_and_ranks(tmp_path):
    copy_checkout(tmp_path)
    *_, command = code_blocks("CONTRIBUTING.md", "sh")
    jobs = planned_jobs(run_dry(command, tmp_path))
    seeds = 2
    assert jobs["recbole_scores"] == jobs["recbole_sasrec"] == jobs["train"] == seeds
    assert jobs["instances"] == jobs["prepare"] == jobs["summarise"] == 1


def test_the_example_of_another_program_stands_beside_id_only_in_the_table(tmp_path):
    pytest.importorskip("recbole", reason="RecBole is not installed: envs/recbole.lock")
    copy_checkout(tmp_path)
    *_, command = code_blocks("CONTRIBUTING.md", "sh")
    command = command.replace(".recbole-env/bin/python, epochs: 10", f"{sys.executable}, epochs: 2")
    run_commands(command, tmp_path)
    table = (tmp_path / "results/test/tables/table_main_comparison.md").read_text()
    assert re.findall(r"^\| (ID only|recbole_sasrec) \| [\d<*]", table, re.M) == ["ID only", "recbole_sasrec"]
