"""What training costs on this machine: every objective, every size, against a plain program, against the device's best.

Every point is measured in a process of its own (training.py, ratio.py, matmul.py), one after the other.
"""

import logging
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from alterrec.bench.curves import SIZES, curves, draw
from alterrec.bench.machine import measured_apart, processor, processors
from alterrec.bench.plan import Plan, Point, compared_points, objective_points, size_points
from alterrec.errors import UserError

logger = logging.getLogger(__name__)
METHOD = (
    "Each row is measured in a process of its own, on the training's own batches, after a warm-up; seconds of an epoch "
    "are seconds per timed instance times the epoch's instances. The peak is the process's resident memory, Python "
    "and torch included (on CUDA what torch allocated)."
)


def cost(out: Path, data: Path | None = None, plan: Plan | None = None) -> dict:
    """Measure the plan's points and draw the figure into `out`: a part of the report."""
    plan = plan or Plan(data=data and str(data.resolve()))
    missing: list[str] = []
    matmul = measured("matmul", [({}, {})], missing)
    objectives = measured("training", objective_points(plan), missing)
    sizes = measured("training", size_points(plan), missing)
    compared = []
    if comparable():
        compared = measured("ratio", compared_points(plan), missing)
    else:
        missing.append("the ratio to the plain program, which is in tests/: run in the repository's root")
    found = curves(sizes)
    draw(found, out)
    devices = {row["device"] for row in [*matmul, *objectives, *sizes, *compared]}
    where = (
        f"Device: {', '.join(devices)}; processor: {processor()}; threads: {processors()}; numbers: float32."
    )
    tables = [
        objective_table(objectives, matmul),
        size_table(sizes),
        exponent_table(found),
        compared_table(compared),
        matmul_table(matmul),
    ]
    return {
        "title": "The engine",
        "remarks": [where, METHOD, *(f"Not measured: {reason}" for reason in missing)],
        "tables": [table for table in tables if table["rows"]],
        "measured": {"objectives": objectives, "sizes": sizes, "compared": compared, "matmul": matmul},
        "curves": found,
    }


def measured(module: str, points: Iterable[Point], missing: list[str]) -> list[dict]:
    """Name, settings and findings of every point; the reason of one that failed is added to `missing`."""
    rows = []
    for name, settings in tqdm(list(points), desc=f"bench {module}", mininterval=5, disable=None):
        settings = settings | {"threads": processors()}
        try:
            rows.append(name | settings | measured_apart(module, settings))
        except UserError as error:
            logger.warning("%s", error)
            missing.append(str(error))
    return rows


def comparable() -> bool:
    """Whether the plain program is at hand."""
    try:
        return find_spec("tests.reference.prefix_expanding") is not None
    except ModuleNotFoundError:
        return False


def shape_text(rows: list[dict]) -> str:
    """The dataset of the rows, which is the same."""
    if not rows:
        return ""
    row, kind = rows[0], "made-up data" if rows[0].get("data") is None else f"{rows[0]['data']}"
    return (
        f"Data: {kind}, {row['items']:,} items, {row['sequences']:,} sequences of {row['mean_length']:.1f} items "
        f"(longest {row['longest']}), {row['instances']:,} training instances; batches of {row['batch_size']}."
    )


def timed(row: dict) -> str:
    return f"{row['timed_instances']:,.0f} of {row['epoch_instances']:,.0f}"


def objective_table(rows: list[dict], matmul: list[dict]) -> dict:
    best = matmul[0]["float32"] if matmul else None
    note = (
        f"{shape_text(rows)} AlterRec's are the mean of an epoch of its ID and one of its text network; an augmented "
        "epoch has six labels an instance and begins with the ranking of all instances by the other network. "
        "Arithmetic counts products of matrices (on a CPU without the attention's own), its share is of a large "
        "product's speed."
    )
    cells = []
    for row in rows:
        speed = row["operations_per_instance"] / row["seconds_per_instance"]
        cells.append(
            {
                "objective": row["label"],
                "d": row["dimension"],
                "seconds per epoch": row["seconds_per_epoch"],
                "instances per second": 1 / row["seconds_per_instance"],
                "timed instances": timed(row),
                "peak MiB": row["peak_bytes"] / 2**20,
                "MFLOP per instance": row["operations_per_instance"] / 1e6,
                "GFLOP/s": speed / 1e9,
                "share of matmul, %": best and 100 * speed / best,
            }
        )
    return {"caption": "Objectives", "note": note, "rows": cells}


def size_table(rows: list[dict]) -> dict:
    cells = [
        {
            "size": SIZES[row["size"]],
            "value": row["value"],
            "objective": row["label"],
            "µs per instance": 1e6 * row["seconds_per_instance"],
            "seconds per epoch": row["seconds_per_epoch"],
            "timed instances": timed(row),
            "peak MiB": row["peak_bytes"] / 2**20,
            "above the start": (row["peak_bytes"] - row["start_bytes"]) / 2**20,
            "ranked": row.get("ranks"),
            "ms per rank": 1e3 * row["seconds_per_rank"] if "ranks" in row else None,
        }
        for row in rows
    ]
    base = next((row for row in rows if row["size"] == "dimension"), None)
    note = (
        f"One size at a time, otherwise d = 64 and the sizes of: {shape_text([base] if base else [])} A row of "
        "session lengths has sessions of that length only; prefixes longer than max_length are windows of their own. "
        "Memory above the start is without Python and torch. `ranked` targets were ranked in the whole catalogue."
    )
    return {"caption": "Cost against size", "note": note, "rows": cells}


def exponent_table(found: list[dict]) -> dict:
    cells = [
        {
            "size": SIZES[curve["size"]],
            "objective": curve["label"],
            "sizes": len(curve["values"]),
            "exponent of seconds per instance": curve["exponents"]["seconds"],
            "exponent of memory above the start": curve["exponents"]["bytes"],
        }
        for curve in found
        if curve["exponents"]["seconds"] is not None
    ]
    note = "Slope of the least-squares line of log(cost) against log(size): 1 is linear, 0 no dependence."
    return {"caption": "Fitted exponents", "note": note, "rows": cells}


def compared_table(rows: list[dict]) -> dict:
    cells = [
        {
            "objective": row["label"],
            "d": row["dimension"],
            "one pass, µs": 1e6 * row["one_pass"],
            "padded to 50, µs": 1e6 * row["padded"],
            "unpadded, µs": 1e6 * row["unpadded"],
            "ratio, padded": row["padded"] / row["one_pass"],
            "ratio, unpadded": row["unpadded"] / row["one_pass"],
            "timed instances": row["timed_instances"],
        }
        for row in rows
    ]
    note = ""
    if rows:
        note = (
            f"{shape_text(rows)} The plain program (tests/reference/prefix_expanding.py) makes every prefix a row, padded "
            "to 50 items or to the batch's longest prefix. Same parameters, same instances, in turns in one process; "
            f"k1 = {rows[0]['k1']}, k2 = {rows[0]['k2']}. Microseconds per instance of a training step, measured on "
            f"{rows[0]['timed_steps']} of the training's batches, spread evenly over the session lengths; such batches "
            "hold sessions of one length, which favours the unpadded program over shuffled ones."
        )
    return {"caption": "Ratio to the plain program", "note": note, "rows": cells}


def matmul_table(rows: list[dict]) -> dict:
    cells = [
        {"numbers": numbers, "size": f"{row['size']:,} x {row['size']:,}", "GFLOP/s": row[numbers] / 1e9}
        for row in rows
        for numbers in ("float32", "tf32")
        if numbers in row
    ]
    note = "The best of three products of square float32 matrices. Training leaves TF32 off."
    return {"caption": "A large product of matrices", "note": note, "rows": cells}
