"""A very small study in a folder whose name a shell would take apart, its commands, and what must not change in it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import yaml

from alterrec.files import file_checksum
from tests.planted import text_signal

ROOT = Path(__file__).parents[2]
HOSTILE = "-a b'c\"d; $e & größe"
RESULTS = Path("results/small")
ALTERREC = RESULTS / "runs/planted/alterrec/seed-4"
TABLES = [f"{RESULTS}/tables/{name}.md" for name in ("table_long_tail", "table_significance")]
CONFIG = {
    "name": "small",
    "datasets": ["planted"],
    "models": ["popularity", "id_only", "text_only", "late_ensemble", "alterrec"],
    "seeds": [4],
    "encoder": "tfidf_svd",
    "defaults": {"dimension": 16, "blocks": 1, "epochs": 2, "batch_size": 64, "initialisation": "xavier"},
    "model_definitions": {"alterrec": {"epochs": 15, "patience": None, "label": HOSTILE}},
    "dataset_definitions": {
        "planted": {
            "source": "table",
            "sessions": f"{HOSTILE}.parquet",
            "items": "items.parquet",
            "text_columns": ["title"],
            "description": HOSTILE,
            "licence": "none",
        }
    },
}


def write_study(folder: Path, **changes) -> None:
    """Write the config, with changes, and the data that it names."""
    data = text_signal(items=120, topics=6, sessions=300)
    ids = [list(session) for session in np.split(data.item_id[data.flat], data.offsets[1:-1])]
    sessions = {"session_id": data.session_id, "items": ids, "split": data.split}
    pd.DataFrame(sessions).to_parquet(folder / f"{HOSTILE}.parquet")
    pd.DataFrame({"item_id": data.item_id, "title": data.text}).to_parquet(folder / "items.parquet")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | changes))


def started(folder: Path, *command: str, under: tuple[str, ...] = ()) -> subprocess.Popen:
    """Start `python -m COMMAND` in the folder, `under` another program; what it prints is read from `communicate()`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([*under, sys.executable, "-m", *command], cwd=folder, env=environment, **pipe)


def workflow(*options: str) -> list[str]:
    """The command that makes the tables of the study."""
    snakefile = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", "config.yaml"]
    return ["snakemake", "--cores", "8", *TABLES, *snakefile, *options]


def run(folder: Path, *command: str, under: tuple[str, ...] = (), fails: bool = False) -> str:
    """Run `python -m COMMAND` in the folder to its end, which must be a success or, with `fails`, none."""
    process = started(folder, *command, under=under)
    printed, _ = process.communicate()
    assert (process.returncode != 0) == fails, printed[-6000:]
    return printed


def tables(folder: Path) -> dict[str, str]:
    """The checksum of every table of the study."""
    return {path.name: file_checksum(path) for path in (folder / RESULTS / "tables").iterdir()}


def training(folder: Path, workflow: subprocess.Popen) -> psutil.Process:
    """The process that trains AlterRec in the folder for a running workflow, once it has saved a checkpoint."""
    while not list((folder / ALTERREC).glob("checkpoint-*.pt")):
        assert workflow.poll() is None, workflow.communicate()[0][-6000:]
        time.sleep(0.02)
    (process,) = [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if process.info["cwd"] == str(folder) and process.info["cmdline"][1:4] == ["-m", "alterrec", "train"]
    ]
    return process
