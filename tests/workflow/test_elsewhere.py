"""The workflow away from its own folder: as a module of another workflow, in another directory, in another environment."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pandas as pd
import pytest

from alterrec.study.load import load_study
from tests.workflow.test_workflow import ROOT, planned, snakemake, write_config

MODULE = """
module alterrec:
    snakefile: {}
    config: config
    {}

use rule * from alterrec as alterrec_*
"""
TEST_STUDY = ("--configfile", str(ROOT / "workflow/config/test.yaml"))


def write_importer(folder: Path, snakefile: str | Path = ROOT / "Snakefile", more: str = "") -> None:
    """A Snakefile in `folder` that imports the suite's, with further lines of the module statement."""
    (folder / "Snakefile").write_text(MODULE.format(repr(str(snakefile)), more))


def test_a_module_plans_what_the_suite_itself_plans(tmp_path):
    own = planned(tmp_path, "all", *TEST_STUDY)
    write_importer(tmp_path)
    imported = planned(tmp_path, *TEST_STUDY, root=tmp_path)
    assert imported == {f"alterrec_{rule}": jobs for rule, jobs in own.items()}
    assert imported["alterrec_table_claims"] == 1


def test_a_module_of_a_clone_runs_the_clones_code_under_its_prefix(tmp_path):
    clone = tmp_path / "clone"
    for name in ("alterrec", "baselines", "envs", "paper_figures", "workflow"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", clone)
    marked = (clone / "baselines/popularity.py").read_text().replace('"Popularity"', '"Of the clone"')
    (clone / "baselines/popularity.py").write_text(marked)
    write_importer(tmp_path, clone / "Snakefile", 'prefix: "benchmark"')
    path = write_config(tmp_path, datasets=["produce"], models=["popularity", "markov"])
    table = "benchmark/results/test/tables/table_main_comparison.csv"
    done = snakemake(tmp_path, "--cores", "8", table, "--configfile", path, root=tmp_path)
    assert "rule alterrec_train:" in done.stderr, "the importing workflow keeps its own screen"
    assert set(pd.read_csv(tmp_path / table)["model"]) == {"popularity", "markov"}
    assert "Of the clone" in (tmp_path / table).with_suffix(".md").read_text()
    snakemake(tmp_path, "--cores", "1", "alterrec_verify", "--configfile", path, root=tmp_path)
    assert not (tmp_path / "results").exists(), "something was written outside the prefix"


def test_rules_read_through_github_are_refused_with_a_sentence(tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    git_reads = {"KEY_0": f"url.{repository}.insteadOf", "VALUE_0": "https://github.com/owner/suite"}
    for key, value in {"COUNT": "1", **git_reads}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{key}", value)
    shutil.copytree(ROOT / "workflow", repository / "workflow")
    shutil.copy(ROOT / "Snakefile", repository)
    git = ["git", "-C", str(repository), "-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    for command in (["init"], ["add", "."], ["commit", "--message", "all"], ["tag", "v1"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    snakefile = 'github("owner/suite", path="Snakefile", tag="v1")'
    (tmp_path / "Snakefile").write_text(MODULE.format(snakefile, ""))
    done = snakemake(tmp_path, "--cores", "1", *TEST_STUDY, root=tmp_path, check=False)
    message = "github.com/owner/suite/workflow/rules@v1: rules that are read from a remote repository"
    assert done.returncode != 0 and message in done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["table", "figure"])
def test_a_folder_without_scripts_is_an_error(tmp_path, kind):
    for name in ("alterrec", "baselines", "workflow", "paper_figures"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns(f"{kind}_*.py"))
    shutil.copy(ROOT / "Snakefile", tmp_path)
    done = snakemake(tmp_path, "--cores", "1", "--dry-run", *TEST_STUDY, root=tmp_path, check=False)
    assert done.returncode != 0 and f"paper_figures has no {kind}_*.py" in done.stdout + done.stderr


def test_the_demo_is_the_default_in_every_working_directory(tmp_path):
    cells = list(load_study(ROOT / "workflow/config/demo.yaml").cells())
    assert planned(tmp_path, "all")["train"] == len(cells)


def test_make_names_a_config_file_that_is_missing():
    make = ["make", "--dry-run", "all", "CONFIG=nowhere.yaml"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0 and "there is no file nowhere.yaml" in done.stderr


def test_the_image_gets_what_a_study_needs_and_nothing_else(tmp_path):
    first, *others = (line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#")
    kept = [line.removeprefix("!") for line in others if line.startswith("!")]
    assert first == "*" and not {".git", ".venv", ".snakemake", "results"} & set(kept)
    suite, work = tmp_path / "suite", tmp_path / "work"
    suite.mkdir()
    work.mkdir()
    for name in kept:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, suite / name)
    assert planned(work, "all", *TEST_STUDY, root=suite) == planned(work, "all", *TEST_STUDY)


@pytest.fixture(scope="module")
def python_without_the_package(tmp_path_factory) -> Path:
    """The interpreter of an environment that holds every installed package except alterrec."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "alterrec" not in path.name:
            (site / path.name).symlink_to(path)
    return folder / "bin" / "python"


def test_jobs_run_in_an_environment_that_lacks_the_package(tmp_path, python_without_the_package):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")

    def run(*command: str) -> subprocess.CompletedProcess:
        command = [str(python_without_the_package), "-m", *command]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert "No module named alterrec" in run("alterrec", "--help").stderr
    target = "results/test/runs/produce/popularity/seed-1/ranks.parquet"
    done = run("snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "8", target, *TEST_STUDY)
    assert (tmp_path / target).is_file(), done.stderr[-3000:]
