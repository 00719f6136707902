"""Validation Hits@20 of every point of the tuning grid, and its range over each setting beside AlterRec's lead.

Left: one mark per tried point. Colour shows the initialisation, the marker the schedule, size the learning rate,
paleness the dropout. Right: ranges over one setting, from the best point. The band is AlterRec minus the best other
model.
"""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import _style as style
from _summary_folder import Study, run, select
from _table_writer import decimal
from _tuning_grid import NO_RECORD, SETTINGS, lead, record, score_ranges, shown_ranges, varied_settings
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
ROW_HEIGHT = 0.72  # height of a model's marks or bars; rows of models are 1 apart


def main(study: Study, out: Path) -> None:
    points = record(study)
    datasets = list(points.dataset.unique())
    if not datasets:
        return style.save_empty(out, NAME, NO_RECORD)
    most = points.groupby("dataset").model.nunique().max()
    height = 0.5 + 0.3 * most + 0.4 / len(datasets)
    fig, axes = style.new_figure(
        len(datasets), 2, style.TEXT_WIDTH, height, sharey="row", width_ratios=[3, 2]
    )
    ranges = score_ranges(study, points)
    for (left, right), dataset in zip(axes, datasets, strict=True):
        here = select(points, dataset=dataset)
        models = list(here.model.unique())
        draw_points(left, here, models, points)
        draw_ranges(right, select(ranges, dataset=dataset), list(shown_ranges(ranges)))
        draw_lead(right, study, dataset)
        style.set_title(left, study, dataset)
        left.set_yticks(range(len(models)), map(study.label, models))
        left.set_ylim(len(models) - 0.5, -0.5)
        for panel in (left, right):
            separate_rows(panel, len(models))
    axes[-1][0].set_xlabel("Validation Hits@20 (%)")
    axes[-1][1].set_xlabel("Range of Hits@20 over one setting (points)")
    add_legends(fig, study, points, shown_ranges(ranges))
    notes = [
        "Ring: the best point of a model. Bars: one setting varies, the others stay as in the best point."
    ]
    rivals = [best[0] for dataset in datasets if (best := lead(study, dataset))]
    style.save(fig, out, NAME, [*notes, *study.data_notes(), *study.ensemble_notes(rivals)])


def draw_points(panel, here, models: list[str], points) -> None:
    """One mark per point in its model's row, at a height that depends on its settings; a ring around the best."""
    lanes = points.groupby([*SETTINGS], dropna=False).ngroup()
    offsets = lane_centres(range(lanes.nunique()))
    best = set(here.groupby("model").validation_hits20.idxmax())
    for row in here.sort_values("learning_rate", ascending=False).itertuples():
        xy = 100 * row.validation_hits20, models.index(row.model) + offsets[lanes[row.Index]]
        panel.plot(*xy, **mark(row, points))
        if row.Index in best:
            panel.plot(*xy, **RING)


def mark(row, points) -> dict:
    """Line properties of one point. Each setting sets one property; a setting that was not recorded sets none."""
    colour = COLOURS.get(row.initialisation, GREY)
    size = 3 + 3 * relative_rank(row.learning_rate, points.learning_rate)
    pale = relative_rank(row.dropout, points.dropout)
    return {
        "linestyle": "",
        "clip_on": False,
        "marker": MARKERS.get(row.schedule, "o"),
        "markersize": size,
        "markeredgecolor": colour,
        "markeredgewidth": 0.8,
        "markerfacecolor": [pale + (1 - pale) * part for part in to_rgb(colour)],
    }


def relative_rank(value: float, values) -> float:
    """The rank of a value among the tried ones: 0 for the smallest, 1 for the largest."""
    tried = sorted(values.dropna().unique())
    return tried.index(value) / (len(tried) - 1) if value in tried[1:] else 0.0


def lane_centres(lanes: Sequence) -> dict:
    """The distance of each lane from the middle of its model's row."""
    return {lane: ROW_HEIGHT * ((number + 0.5) / len(lanes) - 0.5) for number, lane in enumerate(lanes)}


def draw_ranges(panel, ranges, keys: list[str]) -> None:
    """A bar per model and setting. Its length is the range of validation Hits@20 in points."""
    for key, lane in lane_centres(keys).items():
        panel.barh(
            [number + lane for number in range(len(ranges))],
            100 * ranges[f"range_{key}"].astype(float),
            height=ROW_HEIGHT / len(keys),
            color=BARS[key],
            edgecolor=GREY,
            linewidth=0.4,
        )


def separate_rows(panel, rows: int) -> None:
    """Draw lines between the rows of the models, not through them, and ticks at round numbers."""
    panel.grid(axis="y", visible=False)
    panel.tick_params(axis="y", length=0)
    for row in range(1, rows):
        panel.axhline(row - 0.5, color="#cccccc", linewidth=0.5, zorder=0)
    panel.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def draw_lead(panel, study: Study, dataset: str) -> None:
    """AlterRec minus the best other model on validation, as a band from 0 and in the title."""
    if found := lead(study, dataset):
        rival, points = found[0], 100 * found[1]
        panel.axvspan(
            0,
            points,
            color=style.MODEL_STYLES["alterrec"][0],
            alpha=2 * style.BAND_OPACITY,
            linewidth=0,
            zorder=0,
        )
        panel.axvline(points, color=style.MODEL_STYLES["alterrec"][0])
        title = f"{study.label('alterrec')} − {study.label(rival)}: {decimal(points, 2, sign=True)} points"
        panel.set_title(title, loc="right")


def add_legends(fig, study: Study, points, bar_names: dict[str, str]) -> None:
    """Above the points one column of keys per varied setting; above the ranges a key per setting and for the lead."""
    columns = {SETTINGS[setting]: legend_entries(points, setting) for setting in varied_settings(points)}
    longest = max((len(column) for column in columns.values()), default=0)
    shown = [
        entry
        for title, column in columns.items()
        for entry in [(BLANK, title), *column, *[(BLANK, "")] * (longest - len(column))]
    ]
    left = fig.legend(*zip(*shown, strict=True), loc="outside upper left", ncols=len(columns), **LEGEND)
    for text in left.get_texts()[:: longest + 1]:
        text.set_weight("bold")
    bars = {
        name: Patch(facecolor=BARS[key], edgecolor=GREY, linewidth=0.4) for key, name in bar_names.items()
    }
    if "alterrec" in study.models:
        green = style.MODEL_STYLES["alterrec"][0]
        bars[f"{study.label('alterrec')}'s lead"] = Patch(facecolor=green, alpha=2 * style.BAND_OPACITY)
    fig.legend(
        bars.values(), bars.keys(), loc="outside upper right", ncols=2, **LEGEND | {"handlelength": 1.2}
    )


def legend_entries(points, setting: str) -> list[tuple[Line2D, str]]:
    """A mark and a name for each value of one setting."""
    entries = []
    for value in sorted(points[setting].dropna().unique()):
        values = dict.fromkeys(SETTINGS) | {setting: value}
        properties = mark(SimpleNamespace(**values), points)
        entries.append((Line2D([], [], **properties), f"{value:g}" if isinstance(value, float) else value))
    return entries


if __name__ == "__main__":
    run(main, __doc__)
