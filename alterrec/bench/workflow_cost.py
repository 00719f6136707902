"""What the demo study costs on this machine: time and memory of a run into results/bench_demo/, in all and per rule."""

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
    """Delete results/bench_demo/ and run the demo study. Returns a part of the report, with a row per rule."""
    out = Path("results") / NAME
    shutil.rmtree(out, ignore_errors=True)
    seconds, memory = measure([sys.executable, *COMMAND])
    command = f"`snakemake {' '.join(COMMAND[2:])}`"
    remark = (
        f"{command} took {seconds / 60:.1f} minutes. Its peak resident memory was {memory / 2**30:.2f} GiB."
    )
    return {
        "title": "The demo study",
        "remarks": [remark],
        "seconds": round(seconds, 1),
        "peak_bytes": memory,
        "tables": [{"caption": "Cost by rule", "rows": records(cost_by_rule(out / "benchmarks"))}],
    }


def measure(command: list[str]) -> tuple[float, int]:
    """Seconds of the command, and the peak resident bytes of its process tree, sampled once a second."""
    started, peak = time.perf_counter(), 0
    process = psutil.Popen(command)
    while process.poll() is None:
        peak = max(peak, resident_bytes(process))
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            continue
    if process.returncode:
        raise UserError(
            f"the demo study failed with exit code {process.returncode}: run `{' '.join(command)}` to see why"
        )
    return time.perf_counter() - started, peak


def resident_bytes(process: psutil.Process) -> int:
    """The resident bytes of the process and of its descendants."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def cost_by_rule(folder: Path) -> pd.DataFrame:
    """For each rule (for training, each model): number of jobs, total and longest seconds, peak resident memory."""
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


def records(table: pd.DataFrame) -> list[dict]:
    """The table's rows as dicts. A value is None where a job was too short for its memory to be sampled."""
    rows = table.round(1).to_dict("records")
    return [{key: None if pd.isna(value) else value for key, value in row.items()} for row in rows]
