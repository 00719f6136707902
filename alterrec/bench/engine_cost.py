"""What training costs on this machine: every objective, every size, against a plain program, against the device's best.

Every point is measured alone (epoch_cost.py, plain_ratio.py, matmul.py), one after the other.
"""

import logging
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import torch
from tqdm import tqdm

from alterrec.bench import report_tables
from alterrec.bench.machine import measured_alone, processor, processors
from alterrec.bench.measurement_plan import (
    ON_GPU,
    Plan,
    Point,
    compared_points,
    objective_points,
    size_points,
)
from alterrec.bench.scaling_curves import curves, draw
from alterrec.errors import UserError

logger = logging.getLogger(__name__)
METHOD = (
    "Each row is measured in a process of its own (on a GPU in one), on the training's own batches, after a warm-up. Seconds "
    "per epoch are extrapolated on a CPU: seconds per timed instance times the epoch's instances. The peak is the process's "
    "resident memory, Python and torch included (on a GPU what torch allocated there), and its start is that before the data."
)


def cost(out: Path, data: Path | None = None, plan: Plan | None = None) -> dict:
    """Measure the plan's points and draw the figure into `out`: a part of the report."""
    plan = plan or Plan(data=data and str(data), **(ON_GPU if torch.cuda.is_available() else {}))
    missing: list[str] = []
    matmul = measured("matmul", [({}, {})], missing)
    objectives = measured("epoch_cost", objective_points(plan), missing)
    sizes = measured("epoch_cost", size_points(plan), missing)
    compared = measured("plain_ratio", compared_points(plan), missing) if comparable(missing) else []
    found = curves(sizes)
    draw(found, out)
    devices = {row["device"] for row in [*matmul, *objectives, *sizes, *compared]}
    where = f"Device: {', '.join(devices)}; processor: {processor()}; threads: {processors()}."
    made = [
        report_tables.objectives(objectives, matmul),
        report_tables.sizes(sizes),
        report_tables.exponents(found),
        report_tables.compared(compared),
        report_tables.matmul(matmul),
    ]
    return {
        "title": "The engine",
        "remarks": [where, METHOD, *(f"Not measured: {reason}" for reason in missing)],
        "tables": [table for table in made if table],
        "measured": {"objectives": objectives, "sizes": sizes, "compared": compared, "matmul": matmul},
        "curves": found,
    }


def measured(module: str, points: Iterable[Point], missing: list[str]) -> list[dict]:
    """Name, settings and findings of every point; the reason of one that failed is added to `missing`."""
    rows = []
    for name, settings in tqdm(list(points), desc=f"bench {module}", mininterval=5, disable=None):
        settings = settings | {"threads": processors()}
        try:
            rows.append(name | settings | measured_alone(module, settings))
        except UserError as error:
            logger.warning("%s", error)
            missing.append(str(error))
    return rows


def comparable(missing: list[str]) -> bool:
    """Whether the plain program is at hand; the reason goes to `missing` where it is not."""
    try:
        found = find_spec("tests.reference.prefix_expanding")
    except ModuleNotFoundError:
        found = None
    if not found:
        missing.append("the ratio to the plain program, which is in tests/: run in the repository's root")
    return bool(found)
