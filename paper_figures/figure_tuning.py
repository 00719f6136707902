"""Validation Hits@20 of every point of the tuning grid, and how far one setting alone moves it beside AlterRec's lead.

Left, a mark per tried point: colour is the initialisation, the marker the schedule, size the learning rate,
paleness the dropout. Right, ranges from the best point; the band is AlterRec's lead over its best rival.
"""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import _style as style
from _summary_folder import Study, run, select
from _table_writer import fixed
from _tuning_grid import AXES, NO_RECORD, choices, lead, moves, record, varied
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

NAME = "figure_tuning"
COLOURS = {"authors": "#D55E00", "xavier": "#0072B2", "unit_gain": "#CC79A7"}
MARKERS = {"constant": "o", "step": "s"}
GREY = "#444444"
BARS = {"initialisation": "#E69F00", "learning_rate": "#56B4E9", "schedule": "#8A8A00", "dropout": "#882255"}
BARS |= {"seed": "#FFFFFF"}
RING = {"marker": "o", "markersize": 9, "color": "black", "fillstyle": "none", "clip_on": False}
BLANK = Line2D([], [], linestyle="")
LEGEND = {"columnspacing": 1.2, "handlelength": 1.0}
LANES = 0.72  # height of a model's lanes together; models are 1 apart


def main(study: Study, out: Path) -> None:
    points = record(study)
    datasets = list(points.dataset.unique())
    if not datasets:
        return style.nothing(out, NAME, NO_RECORD)
    most = points.groupby("dataset").model.nunique().max()
    height = 0.5 + 0.25 * most + 0.4 / len(datasets)
    drawing, axes = style.figure(len(datasets), 2, style.TEXT, height, sharey="row", width_ratios=[3, 2])
    ranges = moves(study, points)
    for (left, right), dataset in zip(axes, datasets, strict=True):
        here = select(points, dataset=dataset)
        models = list(here.model.unique())
        draw_points(left, here, models, points)
        draw_ranges(right, select(ranges, dataset=dataset), list(choices(ranges)))
        draw_lead(right, study, dataset)
        style.title(left, study, dataset)
        left.set_yticks(range(len(models)), map(study.label, models))
        left.set_ylim(len(models) - 0.5, -0.5)
        for panel in (left, right):
            rows_apart(panel, len(models))
    axes[-1][0].set_xlabel("Validation Hits@20 (%)")
    axes[-1][1].set_xlabel("Moved by one setting alone (points)")
    add_legends(drawing, study, points, choices(ranges))
    ring = "Ring: the best point, from which one setting at a time is moved."
    style.save(drawing, out, NAME, [ring, *study.remarks()])


def draw_points(panel, here, models: list[str], points) -> None:
    """One mark per point in its model's row, at a height by its place in the grid; a ring around each model's best."""
    lanes = points.groupby([*AXES], dropna=False).ngroup()
    offsets = lane_centres(range(lanes.nunique()))
    best = set(here.groupby("model").validation_hits20.idxmax())
    for row in here.sort_values("learning_rate", ascending=False).itertuples():
        at = 100 * row.validation_hits20, models.index(row.model) + offsets[lanes[row.Index]]
        panel.plot(*at, **mark(row, points))
        if row.Index in best:
            panel.plot(*at, **RING)


def mark(row, points) -> dict:
    """Line properties of one point: every setting has its own property; a setting that the record lacks has none."""
    colour = COLOURS.get(row.initialisation, GREY)
    size = 3 + 3 * place(row.learning_rate, points.learning_rate)
    pale = place(row.dropout, points.dropout)
    return {
        "linestyle": "",
        "marker": MARKERS.get(row.schedule, "o"),
        "markersize": size,
        "markeredgecolor": colour,
        "markeredgewidth": 0.8,
        "markerfacecolor": [pale + (1 - pale) * part for part in to_rgb(colour)],
    }


def place(value: float, values) -> float:
    """Where a value stands among the tried ones: 0 for the least, 1 for the largest."""
    tried = sorted(values.dropna().unique())
    return tried.index(value) / (len(tried) - 1) if value in tried[1:] else 0.0


def lane_centres(lanes: Sequence) -> dict:
    """How far each lane lies from the middle of its model's row."""
    return {lane: LANES * ((number + 0.5) / len(lanes) - 0.5) for number, lane in enumerate(lanes)}


def draw_ranges(panel, ranges, choices: list[str]) -> None:
    """A bar per model and choice, as long as the range of validation Hits@20 in points."""
    for choice, lane in lane_centres(choices).items():
        panel.barh(
            [number + lane for number in range(len(ranges))],
            100 * ranges[f"moved_{choice}"].astype(float),
            height=LANES / len(choices),
            color=BARS[choice],
            edgecolor=GREY,
            linewidth=0.4,
        )


def rows_apart(panel, rows: int) -> None:
    """Lines between the models' rows instead of through them, round numbers below."""
    panel.grid(axis="y", visible=False)
    panel.tick_params(axis="y", length=0)
    for row in range(1, rows):
        panel.axhline(row - 0.5, color="#cccccc", linewidth=0.5, zorder=0)
    panel.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def draw_lead(panel, study: Study, dataset: str) -> None:
    """AlterRec's lead over its best rival on validation as a band from 0, and in the title."""
    if found := lead(study, dataset):
        rival, points = found[0], 100 * found[1]
        panel.axvspan(
            0, points, color=style.LOOKS["alterrec"][0], alpha=2 * style.SHADE, linewidth=0, zorder=0
        )
        panel.axvline(points, color=style.LOOKS["alterrec"][0])
        ahead = f"{study.label('alterrec')} − {study.label(rival)}: {fixed(points, 2, sign=True)} points"
        panel.set_title(ahead, loc="right")


def add_legends(drawing, study: Study, points, moving: dict[str, str]) -> None:
    """Above the points a column of keys for each varied axis, above the ranges a key for each choice and the lead."""
    columns = {AXES[axis]: keys(points, axis) for axis in varied(points)}
    longest = max((len(column) for column in columns.values()), default=0)
    shown = [
        entry
        for title, column in columns.items()
        for entry in [(BLANK, title), *column, *[(BLANK, "")] * (longest - len(column))]
    ]
    own = drawing.legend(*zip(*shown, strict=True), loc="outside upper left", ncols=len(columns), **LEGEND)
    for text in own.get_texts()[:: longest + 1]:
        text.set_weight("bold")
    bars = {name: Patch(facecolor=BARS[key], edgecolor=GREY, linewidth=0.4) for key, name in moving.items()}
    if "alterrec" in study.models:
        green = style.LOOKS["alterrec"][0]
        bars[f"{study.label('alterrec')}'s lead"] = Patch(facecolor=green, alpha=2 * style.SHADE)
    drawing.legend(
        bars.values(), bars.keys(), loc="outside upper right", ncols=2, **LEGEND | {"handlelength": 1.2}
    )


def keys(points, axis: str) -> list[tuple[Line2D, str]]:
    """A mark and a name for each value of an axis, all else alike."""
    entries = []
    for value in sorted(points[axis].dropna().unique()):
        one = dict.fromkeys(AXES) | {axis: value}
        properties = mark(SimpleNamespace(**one), points)
        entries.append((Line2D([], [], **properties), f"{value:g}" if isinstance(value, float) else value))
    return entries


if __name__ == "__main__":
    run(main, __doc__)
