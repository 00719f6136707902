"""Code blocks of the documentation, and running them in a copy of the checkout."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = ("alterrec", "baselines", "envs", "examples", "paper_figures", "workflow")


def code_blocks(page: str, language: str) -> list[str]:
    """The fenced code blocks of a page, given by its path in the repository."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)


def copy_checkout(folder: Path) -> None:
    """Copy what a study needs into the folder."""
    for name in NEEDED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)


def run_dry(commands: str, folder: Path) -> str:
    """Run shell commands in the folder, every snakemake as a dry run and equal ones once; return what they print."""
    lines = commands.replace("\\\n", " ").splitlines()
    dry = [re.sub(r"^(snakemake .*?)( --dry-run)?$", r"\1 --dry-run", line) for line in lines]
    return run_commands("\n".join(dict.fromkeys(dry)), folder)


def run_commands(commands: str, folder: Path) -> str:
    """Run shell commands in the folder; return what they print."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        ["bash", "-ec", commands], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def planned_jobs(output: str) -> dict[str, int]:
    """Rule -> number of jobs, from the table that a dry run prints."""
    return {rule: int(jobs) for rule, jobs in re.findall(r"^(\w+) +(\d+)$", output, re.M)}
