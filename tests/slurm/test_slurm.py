"""The test study on a Slurm cluster of one node, which tests/slurm/one_node.sh starts around this test: make slurm

Its tables are those of a run without Slurm, also after a job was killed by its time limit.
"""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from alterrec.analysis.compare_summaries import differences
from tests.workflow.test_workflow import CONSTANT_RULE, ROOT, snakemake, study

__all__ = ["study"]  # a fixture

PROFILE = ("--workflow-profile", str(ROOT / "workflow/profiles/slurm"))
WITHOUT_ACCOUNTING = ("--slurm-no-account", "--slurm-status-command", "squeue")
PROMPT = ("--slurm-init-seconds-before-status-checks", "3")
HANGS_ONCE = (
    "[ -z ${{SLURM_JOB_ID:-}} ] || [ {resources.runtime} -gt 1 ] || sleep 600; python {params.program}"
)
RUNTIME = re.compile(r"^rule constant:\n(?:    .*\n)*?    resources: .*\bruntime=(\d+)", re.MULTILINE)
"""The minutes that a job of the baseline asked for. Snakemake's log also has blocks on its failures, which name none."""
WITH_TIMES = {"table_main_comparison"}


def slurm_runs() -> bool:
    if find_spec("snakemake_executor_plugin_slurm") is None or shutil.which("sinfo") is None:
        return False
    return subprocess.run(["sinfo"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not slurm_runs(), reason="needs Slurm: make slurm")


@pytest.fixture(scope="module")
def on_slurm(study, tmp_path_factory) -> Path:
    """The folder of the same study on Slurm. The first attempt of every job of one baseline hangs."""
    folder = tmp_path_factory.mktemp("slurm")
    own = shutil.copytree(study / "own", folder / "own")
    rule = CONSTANT_RULE.replace("python {params.program}", HANGS_ONCE)
    rule = rule.replace("    params:", "    resources:\n        runtime=growing(1),\n    params:")
    (own / "constant.smk").write_text(rule)
    config = yaml.safe_load((study / "config.yaml").read_text()) | {"baselines": [str(own)]}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    arguments = ["all", *PROFILE, *WITHOUT_ACCOUNTING, *PROMPT, "--configfile", str(folder / "config.yaml")]
    snakemake(folder, *arguments)
    return folder


def snakemake_log(folder: Path) -> str:
    """Snakemake's own log, which has every job in full."""
    return min(folder.glob(".snakemake/log/*.log")).read_text()


def test_tables_on_slurm_are_those_of_a_run_without_it(study, on_slurm):
    assert differences(study / "results/test/summary", on_slurm / "results/test/summary") == []
    tables = [path for path in (study / "results/test/tables").iterdir() if path.stem not in WITH_TIMES]
    assert len(tables) > 50
    for path in tables:
        assert path.read_bytes() == (on_slurm / "results/test/tables" / path.name).read_bytes(), path.name


def test_a_job_that_its_time_limit_killed_came_back_with_more_time(on_slurm):
    killed = [path.read_text() for path in on_slurm.glob(".snakemake/slurm_logs/rule_constant/**/*.log")]
    assert any("DUE TO TIME LIMIT" in log for log in killed)
    minutes = set(RUNTIME.findall(snakemake_log(on_slurm)))
    assert {"1", "2"} <= minutes <= {"1", "2", "3"}  # on a busy machine two minutes may not be enough either


def test_slurm_gets_only_the_long_jobs_and_one_for_all_cells_without_a_network(on_slurm):
    submitted = re.findall(
        r"submitted with SLURM jobid \d+ \(log: \S+/slurm_logs/(\w+)/", snakemake_log(on_slurm)
    )
    assert set(submitted) == {
        f"rule_{name}" for name in ("prepare", "encode", "train", "summarise", "constant")
    } | {"group_short_train"}
    assert submitted.count("group_short_train") == 1
