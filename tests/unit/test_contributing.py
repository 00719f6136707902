"""CONTRIBUTING.md: the template of a baseline trains and ranks under a new name, and the page's commands work."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from alterrec import registry
from alterrec.execute import execute_run
from alterrec.ranking.metrics import expected_hits
from alterrec.ranking.rank_file import check_ranks
from tests.planted import id_signal
from tests.unit.page_commands import code_blocks, copy_checkout, planned_jobs, run_dry

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
