"""How every figure looks: sizes, fonts, colours with markers and line styles that also read in grey."""

from collections.abc import Iterable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
from _summary_folder import Study
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alterrec.files import atomic

COLUMN, TEXT = 3.3, 6.9  # widths of a column and of the text, inches
SHADE = 0.18  # opacity of a band
RC = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,
    "figure.constrained_layout.use": True,
}
# Colour (Okabe and Ito 2008, without their yellow; two more for ten models), marker, line style.
LOOKS = {
    "id_only": ("#0072B2", "o", "-"),
    "text_only": ("#D55E00", "s", "-"),
    "fusion_sum": ("#E69F00", "v", (0, (4, 1.5))),
    "fusion_concat": ("#56B4E9", "P", (0, (1, 1))),
    "fusion_gate": ("#8A8A00", "X", (0, (5, 1, 1, 1))),
    "fusion_score": ("#7A7A7A", "D", (0, (6, 1, 1, 1, 1, 1))),
    "late_ensemble": ("#000000", "d", (0, (3, 1))),
    "alterrec": ("#009E73", "^", "-"),
    "alterrec_aug": ("#CC79A7", "<", (0, (5, 1, 1, 1))),
}
OTHERS = ("#117733", "#882255", "#332288", "#AA4499", "#661100")
PARTS = {"id": "ID", "text": "text"}


def look(study: Study, model: str) -> dict:
    """Line properties of a model: its own, or else a steady choice by its place in the study."""
    place = study.ordered({*study.models, model}).index(model)
    fallback = (OTHERS[place % len(OTHERS)], "ph*8>"[place % 5], (0, (2, 1)))
    colour, marker, line = LOOKS.get(model, fallback)
    return {"color": colour, "marker": marker, "linestyle": line, "label": study.label(model)}


def figure(rows: int, columns: int, width: float, height: float, **shared) -> tuple[Figure, list[list[Axes]]]:
    """A figure of rows x columns panels, `height` inches each; axes always as a list of rows."""
    plt.rcParams.update(matplotlib.rcParamsDefault | RC)
    drawing, axes = plt.subplots(rows, columns, figsize=(width, rows * height + 0.6), squeeze=False, **shared)
    drawing.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.03, hspace=0.04)
    return drawing, axes.tolist()


def title(axes: Axes, study: Study, dataset: str, more: str = "") -> None:
    """The dataset as the panel's title, marked where it is demonstration data; `more` follows it."""
    data = study.read("datasets").set_index("dataset")
    demo = dataset in data.index and bool(data.demo[dataset])
    axes.set_title(study.dataset_label(dataset) + (" (demo)" if demo else "") + more)


def over_seeds(frame: pd.DataFrame, value: str, at: str = "network_epoch") -> pd.DataFrame:
    """Mean, low and high over seeds and mean updates, at every epoch that all seeds reached."""
    wide = frame.pivot_table(index=at, columns="seed", values=value).dropna()
    table = pd.DataFrame({"mean": wide.mean(axis=1), "low": wide.min(axis=1), "high": wide.max(axis=1)})
    return table.assign(updates=frame.groupby(at).updates.mean())


def draw_band(axes: Axes, x: pd.Series, band: pd.DataFrame, properties: dict, scale: float = 1.0) -> None:
    """The mean as a line with a few markers, minimum to maximum as a band."""
    if not len(band):
        return
    every = max(1, len(band) // 5)
    start = 2 * len(axes.lines) % every  # so that the markers of curves that coincide do not
    axes.plot(x, scale * band["mean"], markevery=(start, every), **properties)
    axes.fill_between(
        x, scale * band.low, scale * band.high, color=properties["color"], alpha=SHADE, linewidth=0
    )


def few_ticks(axes: Axes) -> None:
    """About five ticks each way; epochs and updates are whole numbers, thousands are written 1k."""
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def short(count: float) -> str:
    """A count in at most four characters: 212, 3.3k, 45k."""
    if count < 1000:
        return f"{count:.0f}"
    return f"{count / 1000:.1f}k".replace(".0k", "k") if count < 10_000 else f"{count / 1000:.0f}k"


def legend(drawing: Figure, study: Study, columns: int, keys: dict[str, Artist] | None = None) -> None:
    """One legend above all panels: every label once, models in the study's order, further keys at its end."""
    found = {}
    for axes in drawing.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    models = [label for label in map(study.label, study.models) if label in found]
    found = {label: found[label] for label in dict.fromkeys([*models, *found])} | (keys or {})
    if found:
        drawing.legend(
            found.values(), found.keys(), loc="outside upper center", ncols=columns, columnspacing=1.4
        )


def save(drawing: Figure, out: Path, name: str, remarks: Iterable[str] = ()) -> None:
    """Write <out>/<name>.pdf and .png with the remarks below the panels; equal input gives equal bytes."""
    if text := "\n".join(remarks):
        drawing.supxlabel(text, x=0.005, ha="left", fontsize=7, color="#444444", wrap=True)
    for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        with atomic(out / f"{name}.{suffix}") as path:
            drawing.savefig(path, format=suffix, dpi=200, metadata=metadata)
    plt.close(drawing)


def nothing(out: Path, name: str, why: str) -> None:
    """A figure that says why there is nothing to show."""
    drawing, [[axes]] = figure(1, 1, COLUMN, 0.8)
    axes.axis("off")
    axes.text(0.5, 0.5, why, ha="center", va="center", wrap=True)
    save(drawing, out, name)
