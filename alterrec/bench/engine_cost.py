"""What training costs on this machine: every workload, the growth with each size, and the ratio to a plain program.

The report's rows are measured one after the other. On a CPU each has a process of its own, so that its peak memory is
its own.
"""

import gc
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from tqdm import tqdm

from alterrec.bench import report_tables
from alterrec.bench.machine import multiplies_bfloat16, processor
from alterrec.bench.measurement_plan import (
    ON_GPU,
    Plan,
    Point,
    ratio_points,
    size_points,
    workload_points,
)
from alterrec.bench.scaling_curves import curves, draw
from alterrec.engine.device import device
from alterrec.errors import UserError
from alterrec.study.processors import processors
from alterrec.study.resolve import ALLOCATOR

logger = logging.getLogger(__name__)
METHOD = (
    "Each row is measured in a process of its own (on a GPU, all rows in one process), on the batches of training, "
    "and timed after the same batches were trained on once. On a CPU a part of an epoch is timed, and the seconds per "
    "epoch are extrapolated: seconds per timed instance times the instances of the epoch. Peak memory is the process's "
    "resident memory, with Python and torch (on a GPU, the memory that torch allocated there). Memory at the start is "
    "the peak before data are loaded."
)


def cost(out: Path, data: Path | None = None, plan: Plan | None = None) -> dict:
    """Measure the plan's points and draw the figure into `out`. Returns a part of the report."""
    plan = plan or Plan(data=data and str(data), **(ON_GPU if torch.cuda.is_available() else {}))
    failures: list[str] = []
    if not multiplies_bfloat16(device()):
        plan = replace(plan, precisions=tuple(name for name in plan.precisions if name != "bfloat16"))
        failures.append("bfloat16: this processor has no instructions for its products")
    matmul = measure_points("machine", [({}, {})], failures)
    workloads = measure_points("epoch_cost", workload_points(plan), failures)
    sizes = measure_points("epoch_cost", size_points(plan), failures)
    has_plain = plain_program_found(failures)
    ratios = measure_points("plain_ratio", ratio_points(plan), failures) if has_plain else []
    fitted = curves(sizes)
    draw(fitted, out)
    devices = {row["device"] for row in [*matmul, *workloads, *sizes, *ratios]}
    where = f"Device: {', '.join(devices)}; processor: {processor()}; threads: {processors()}."
    tables = [
        report_tables.workload_table(workloads, matmul),
        report_tables.size_table(sizes),
        report_tables.exponent_table(fitted),
        report_tables.ratio_table(ratios),
        report_tables.matmul_table(matmul),
    ]
    return {
        "title": "The engine",
        "remarks": [where, METHOD, *(f"Not measured: {reason}" for reason in failures)],
        "tables": [table for table in tables if table],
        "measured": {"workloads": workloads, "sizes": sizes, "ratios": ratios, "matmul": matmul},
        "curves": fitted,
    }


def measure_points(module: str, points: Iterable[Point], failures: list[str]) -> list[dict]:
    """A row per point: its columns, settings and results. A point that fails adds its reason to `failures`."""
    rows = []
    for columns, settings in tqdm(list(points), desc=f"bench {module}", mininterval=5, disable=None):
        settings = settings | {"threads": processors()}
        try:
            rows.append(columns | settings | measure_point(module, settings))
        except UserError as error:
            logger.warning("%s", error)
            failures.append(str(error))
    return rows


def measure_point(module: str, settings: dict) -> dict:
    """The result of `measure(**settings)` of a module of this package. UserError where the measurement fails."""
    run = measure_in_this_process if torch.cuda.is_available() else measure_in_new_process
    return run(module, settings)


def measure_in_this_process(module: str, settings: dict) -> dict:
    """For a GPU: torch can count its memory from any moment on, so no new process is needed."""
    gc.collect()
    try:
        return import_module(f"alterrec.bench.{module}").measure(**settings)
    except RuntimeError as error:  # out of memory, or another failure of the device
        raise UserError(f"{module} {settings}: {error}") from None


def measure_in_new_process(module: str, settings: dict) -> dict:
    """For a CPU: the peak resident memory is then that of this point alone."""
    command = [sys.executable, "-m", f"alterrec.bench.{module}", json.dumps(settings)]
    environment = os.environ | ALLOCATOR | {"OMP_NUM_THREADS": str(settings.get("threads", 1))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        last_line = (done.stderr.strip().splitlines() or ["no error message"])[-1]
        raise UserError(f"{module} {settings}: exit code {done.returncode} ({last_line})")
    return json.loads(done.stdout)


def plain_program_found(failures: list[str]) -> bool:
    """Whether tests/reference/prefix_expanding.py can be imported. If not, the reason is added to `failures`."""
    try:
        found = find_spec("tests.reference.prefix_expanding")
    except ModuleNotFoundError:
        found = None
    if not found:
        failures.append(
            "the ratio to the plain program, because tests/reference/prefix_expanding.py was not found: run the "
            "benchmark in the repository's root"
        )
    return bool(found)
