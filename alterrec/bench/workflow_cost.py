"""What the demo costs on this machine: one whole run into results/bench_demo/, its time, memory, and each rule's share."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil

from alterrec.errors import UserError

NAME = "bench_demo"
COMMAND = ("-m", "snakemake", "--cores", "8", "all", "--config", f"name={NAME}")


def cost() -> dict:
    """Run the demo study from nothing: a part of the report, with a row per rule."""
    out = Path("results") / NAME
    shutil.rmtree(out, ignore_errors=True)
    seconds, memory = measure([sys.executable, *COMMAND])
    command = f"`snakemake {' '.join(COMMAND[2:])}`"
    remark = f"{command}: {seconds / 60:.1f} minutes, at most {memory / 2**30:.2f} GiB resident at once."
    return {
        "title": "The demo study",
        "remarks": [remark],
        "seconds": round(seconds, 1),
        "peak_bytes": memory,
        "tables": [{"caption": "By rule", "rows": rows(by_rule(out / "benchmarks"))}],
    }


def measure(command: list[str]) -> tuple[float, int]:
    """Seconds, and the highest sum of resident bytes over the command's process tree, looked at once a second."""
    started, highest = time.perf_counter(), 0
    process = psutil.Popen(command)
    while process.poll() is None:
        highest = max(highest, resident(process))
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            continue
    if process.returncode:
        raise UserError(f"the study failed; its command was {' '.join(command)}")
    return time.perf_counter() - started, highest


def resident(process: psutil.Process) -> int:
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def by_rule(folder: Path) -> pd.DataFrame:
    """Per rule (for training per model): jobs, their summed and longest seconds, their highest resident memory."""
    rows = []
    for path in sorted(folder.rglob("*.tsv")):
        parts = path.relative_to(folder).with_suffix("").parts
        rule = f"train {parts[2]}" if parts[0] == "train" else parts[0]
        row = pd.read_csv(path, sep="\t").iloc[0]
        rows.append(
            {"rule": rule, "seconds": row["s"], "MiB": pd.to_numeric(row["max_rss"], errors="coerce")}
        )
    grouped = pd.DataFrame(rows).groupby("rule")
    table = grouped["seconds"].agg(jobs="count", seconds="sum", longest="max")
    return table.assign(MiB=grouped["MiB"].max()).sort_values("seconds", ascending=False).reset_index()


def rows(table: pd.DataFrame) -> list[dict]:
    """The table as records; None where a job was too short for its memory to be seen."""
    records = table.round(1).to_dict("records")
    return [{key: None if pd.isna(value) else value for key, value in record.items()} for record in records]
