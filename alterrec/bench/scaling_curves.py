"""How cost grows with size: the fitted exponents, and the figure with a panel per size."""

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
MIN_SIZES = 3  # a line is fitted through at least as many
LINE_STYLES = (("#0072B2", "o"), ("#D55E00", "s"))
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
    """The slope of the least-squares line through log(cost) against log(size); None for fewer than MIN_SIZES."""
    if len(sizes) < MIN_SIZES:
        return None
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def curves(rows: list[dict]) -> list[dict]:
    """One curve for each size and label of the measured rows, with its values, costs and exponents."""
    grouped: dict[tuple, list[dict]] = {}
    for row in rows:
        grouped.setdefault((row["size"], row["label"]), []).append(row)
    result = []
    for (size, label), group in grouped.items():
        values = [row["value"] for row in group]
        costs = {
            "seconds": [row["seconds_per_instance"] for row in group],
            "bytes": [max(1, row["peak_bytes"] - row["start_bytes"]) for row in group],
        }
        fitted = {cost: exponent(values, costs[cost]) for cost in COSTS}
        result.append({"size": size, "label": label, "values": values, "costs": costs, "exponents": fitted})
    return result


def draw(all_curves: list[dict], out: Path) -> None:
    """Write `out`/bench.png and .pdf: a column per size, time above memory, with the exponents in the legends."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    logging.getLogger("fontTools").setLevel(logging.WARNING)
    sizes = [size for size in SIZES if any(curve["size"] == size for curve in all_curves)]
    if not sizes:
        return
    with rc_context(RC):
        figure = Figure(figsize=(1.75 * len(sizes), 4.4), layout="constrained")
        panels = figure.subplots(len(COSTS), len(sizes), squeeze=False, sharex="col", sharey="row")
        for column, size in enumerate(sizes):
            of_size = [curve for curve in all_curves if curve["size"] == size]
            for row, cost in enumerate(COSTS):
                draw_panel(panels[row][column], of_size, cost)
            panels[-1][column].set_xlabel(SIZES[size])
        for row, cost in zip(panels, COSTS, strict=True):
            row[0].set_ylabel(COSTS[cost])
        for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
            with atomic(out / f"bench.{suffix}") as path:
                figure.savefig(path, format=suffix, dpi=200, metadata=metadata)


def draw_panel(axes, of_size: list[dict], cost: str) -> None:
    """Draw the curves of one size on logarithmic axes, with a tick at every value and the legend above."""
    for curve, (colour, marker) in zip(of_size, LINE_STYLES, strict=False):
        power = curve["exponents"][cost]
        label = curve["label"].split(", ")[-1 if "max_length" in curve["label"] else 0]
        label += "" if power is None else f": exponent {power:.2f}"
        costs = [SCALE[cost] * value for value in curve["costs"][cost]]
        axes.loglog(curve["values"], costs, color=colour, marker=marker, label=label)
    values = of_size[0]["values"]
    axes.set_xticks(values, [abbreviated(value) for value in values])
    axes.xaxis.minorticks_off()
    axes.legend(loc="lower left", bbox_to_anchor=(-0.05, 1), borderpad=0)


def abbreviated(value: int) -> str:
    """A size in at most four characters: 256, 4096, 10k, 1M."""
    for unit, letter in ((10**6, "M"), (10**3, "k")):
        if value % unit == 0:
            return f"{value // unit}{letter}"
    return str(value)
