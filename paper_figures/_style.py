"""The common style of all figures: sizes, fonts, and a colour, marker and line per model (distinct in grey too)."""

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

COLUMN_WIDTH, TEXT_WIDTH = 3.3, 6.9  # inches
BAND_OPACITY = 0.18
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
# Colour (Okabe and Ito 2008 without their yellow, and two more), marker, line style.
MODEL_STYLES = {
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
FALLBACK_COLOURS = ("#117733", "#882255", "#332288", "#AA4499", "#661100")
PARTS = {"id": "ID", "text": "text"}


def line_style(study: Study, model: str) -> dict:
    """Line properties of a model. A model without its own style gets one by its position in the study."""
    position = study.ordered({*study.models, model}).index(model)
    colour = FALLBACK_COLOURS[position % len(FALLBACK_COLOURS)]
    fallback = (colour, "ph*8>"[position % 5], (0, (2, 1)))
    colour, marker, line = MODEL_STYLES.get(model, fallback)
    return {"color": colour, "marker": marker, "linestyle": line, "label": study.label(model)}


def new_figure(
    rows: int, columns: int, width: float, height: float, **options
) -> tuple[Figure, list[list[Axes]]]:
    """A figure of rows x columns panels, each `height` inches high; the axes are a list of rows."""
    plt.rcParams.update(matplotlib.rcParamsDefault | RC)
    fig, axes = plt.subplots(rows, columns, figsize=(width, rows * height + 0.6), squeeze=False, **options)
    fig.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.03, hspace=0.04)
    return fig, axes.tolist()


def set_title(axes: Axes, study: Study, dataset: str, suffix: str = "") -> None:
    """Use the dataset's label as the panel's title, with "(demo)" for demonstration data, then `suffix`."""
    data = study.read("datasets").set_index("dataset")
    demo = dataset in data.index and bool(data.demo[dataset])
    axes.set_title(study.dataset_label(dataset) + (" (demo)" if demo else "") + suffix)


def seed_band(frame: pd.DataFrame, value: str, at: str = "network_epoch") -> pd.DataFrame:
    """Mean, low (minimum) and high (maximum) over seeds and mean updates, at every epoch that all seeds reached."""
    wide = frame.pivot_table(index=at, columns="seed", values=value).dropna()
    table = pd.DataFrame({"mean": wide.mean(axis=1), "low": wide.min(axis=1), "high": wide.max(axis=1)})
    return table.assign(updates=frame.groupby(at).updates.mean())


def draw_band(axes: Axes, x: pd.Series, band: pd.DataFrame, properties: dict, scale: float = 1.0) -> None:
    """Draw the mean as a line with a few markers, and minimum to maximum as a band."""
    if not len(band):
        return
    every = max(1, len(band) // 5)
    start = 2 * len(axes.lines) % every  # curves that coincide still show all their markers
    axes.plot(x, scale * band["mean"], markevery=(start, every), **properties)
    axes.fill_between(
        x, scale * band.low, scale * band.high, color=properties["color"], alpha=BAND_OPACITY, linewidth=0
    )


def few_ticks(axes: Axes) -> None:
    """About five ticks on each axis. Epochs and updates are integers; thousands are written as 1k."""
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: short_count(value))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def short_count(count: float) -> str:
    """A count in a few characters: 212, 3.3k, 45k."""
    if count < 1000:
        return f"{count:.0f}"
    return f"{count / 1000:.1f}k".replace(".0k", "k") if count < 10_000 else f"{count / 1000:.0f}k"


def add_legend(fig: Figure, study: Study, columns: int, keys: dict[str, Artist] | None = None) -> None:
    """One legend above all panels: every label once, models in the study's order, then the others and `keys`."""
    found = {}
    for axes in fig.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    models = [label for label in map(study.label, study.models) if label in found]
    found = {label: found[label] for label in dict.fromkeys([*models, *found])} | (keys or {})
    if found:
        fig.legend(found.values(), found.keys(), loc="outside upper center", ncols=columns, columnspacing=1.4)


def save(fig: Figure, out: Path, name: str, notes: Iterable[str] = ()) -> None:
    """Write <out>/<name>.pdf and .png with the notes below the panels. Equal input gives equal bytes."""
    if text := "\n".join(notes):
        fig.supxlabel(text, x=0.005, ha="left", fontsize=7, color="#444444", wrap=True)
    for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        with atomic(out / f"{name}.{suffix}") as path:
            fig.savefig(path, format=suffix, dpi=200, metadata=metadata)
    plt.close(fig)


def save_empty(out: Path, name: str, reason: str) -> None:
    """Write a figure that only says why there is nothing to show."""
    fig, [[axes]] = new_figure(1, 1, COLUMN_WIDTH, 0.8)
    axes.axis("off")
    axes.text(0.5, 0.5, reason, ha="center", va="center", wrap=True)
    save(fig, out, name)
