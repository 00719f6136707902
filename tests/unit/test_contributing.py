"""CONTRIBUTING.md: the template of a baseline trains and ranks under a new name, and the page's commands work."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from alterrec import registry
from alterrec.execute import execute_run
from alterrec.ranking.metrics import expected_hits
from alterrec.ranking.rank_file import check_ranks
from tests.planted import id_signal

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "baselines" / "_template.py"
COMMANDS = re.search(r"```sh\n(cp baselines/_template.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S)[
    1
]


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
    """The example of CONTRIBUTING.md as a dry run, in a copy of the checkout."""
    for name in ("alterrec", "baselines", "workflow", "paper_figures", "envs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", tmp_path)
    dry_run = re.sub(r"^snakemake ", "snakemake --dry-run ", COMMANDS, flags=re.M)
    assert dry_run != COMMANDS
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-ec", dry_run], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(r"^train +1$", done.stdout, re.M), done.stdout[-3000:]
