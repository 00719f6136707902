"""Cost against size: the fitted exponents, and the figure of small multiples."""

import logging
from pathlib import Path

import numpy as np

from alterrec.files import atomic

SIZES = {
    "items": "items in the catalogue",
    "length": "items in a session",
    "batch_size": "instances in a batch",
    "dimension": "dimension d",
}
COSTS = {"seconds": "seconds per instance", "bytes": "peak memory above the start, MiB"}
SCALE = {"seconds": 1, "bytes": 2**-20}
FEWEST = 3  # sizes through which a line is fitted
LOOKS = (("#0072B2", "o"), ("#D55E00", "s"))
RC = {
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,
}


def exponent(sizes: list[float], costs: list[float]) -> float | None:
    """The slope of the least-squares line through log(cost) against log(size); None for fewer than FEWEST sizes."""
    if len(sizes) < FEWEST:
        return None
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def curves(rows: list[dict]) -> list[dict]:
    """One curve per size and label of the measured rows: its values, costs and exponents."""
    grouped: dict[tuple, list[dict]] = {}
    for row in rows:
        grouped.setdefault((row["size"], row["label"]), []).append(row)
    found = []
    for (size, label), own in grouped.items():
        values = [row["value"] for row in own]
        costs = {
            "seconds": [row["seconds_per_instance"] for row in own],
            "bytes": [max(1, row["peak_bytes"] - row["start_bytes"]) for row in own],
        }
        fitted = {cost: exponent(values, costs[cost]) for cost in COSTS}
        found.append({"size": size, "label": label, "values": values, "costs": costs, "exponents": fitted})
    return found


def draw(found: list[dict], out: Path) -> None:
    """Write `out`/bench.png and .pdf: a column of panels per size, time above memory, the exponents in the legends."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    logging.getLogger("fontTools").setLevel(logging.WARNING)
    sizes = [size for size in SIZES if any(curve["size"] == size for curve in found)]
    if not sizes:
        return
    with rc_context(RC):
        figure = Figure(figsize=(1.75 * len(sizes), 4.4), layout="constrained")
        panels = figure.subplots(len(COSTS), len(sizes), squeeze=False, sharex="col", sharey="row")
        for column, size in enumerate(sizes):
            own = [curve for curve in found if curve["size"] == size]
            for row, cost in enumerate(COSTS):
                panel(panels[row][column], own, cost)
            panels[-1][column].set_xlabel(SIZES[size])
        for row, cost in zip(panels, COSTS, strict=True):
            row[0].set_ylabel(COSTS[cost])
        for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
            with atomic(out / f"bench.{suffix}") as path:
                figure.savefig(path, format=suffix, dpi=200, metadata=metadata)


def panel(axes, found: list[dict], cost: str) -> None:
    """The curves of one size on logarithmic axes, with a tick at every size and the legend above."""
    for curve, (colour, marker) in zip(found, LOOKS, strict=False):
        power = curve["exponents"][cost]
        label = curve["label"].split(", ")[-1 if "max_length" in curve["label"] else 0]
        costs = [SCALE[cost] * value for value in curve["costs"][cost]]
        label += "" if power is None else f": exponent {power:.2f}"
        axes.loglog(curve["values"], costs, color=colour, marker=marker, label=label)
    values = found[0]["values"]
    axes.set_xticks(values, [short(value) for value in values])
    axes.xaxis.minorticks_off()
    axes.legend(loc="lower left", bbox_to_anchor=(-0.05, 1), borderpad=0)


def short(value: int) -> str:
    """A size in at most four characters: 256, 4096, 10k, 1M."""
    for unit, letter in ((10**6, "M"), (10**3, "k")):
        if value % unit == 0:
            return f"{value // unit}{letter}"
    return str(value)
