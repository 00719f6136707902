"""Validation Hits@20 of every trial of tuning, one panel per model, over the learning rate.

Colour shows the dropout, the marker the initialisation. Open marks are trials that a rung of successive halving stopped,
at the score that they had reached. The band below a model's best trial is as high as the distance between AlterRec and
the best model that is no variant of it.
"""

from pathlib import Path
from textwrap import fill

import _style as style
import numpy as np
from _summary_folder import Study, run, select
from _tuning_record import NO_RECORD, lead, lead_notes, record
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

NAME = "figure_tuning"
MARKERS = {"authors": "s", "xavier": "o", "unit_gain": "^", "normal": "D"}
COLOURS = colormaps["viridis_r"]
GREY = "#444444"
ACROSS = 5  # panels in a row
RING = {"marker": "o", "markersize": 10, "color": "black", "fillstyle": "none", "linestyle": "", "zorder": 4}
LEAD = {"color": style.MODEL_STYLES["alterrec"][0], "alpha": 0.45, "linewidth": 0}


def main(study: Study, out: Path) -> None:
    trials = record(study).dropna(subset="learning_rate")  # a model without learning has none
    facets = list(trials.groupby(["dataset", "model"], sort=False).groups)
    if not facets:
        return style.save_empty(out, NAME, NO_RECORD)
    rows = panel_rows(facets)
    across = max(map(len, rows))
    fig, axes = style.new_figure(len(rows), across, style.TEXT_WIDTH, 1.6, sharey="row")
    dropouts = Normalize(0, max(trials.dropout.max(), 0.1))
    for panels, row in zip(axes, rows, strict=True):
        for panel, (dataset, model) in zip(panels, row, strict=False):
            draw_trials(panel, select(trials, dataset=dataset, model=model), dropouts)
            draw_lead(panel, study, dataset)
            panel.set_title(fill(study.label(model), 20), fontsize="small")
            set_rate_axis(panel, trials.learning_rate)
        for panel in panels[len(row) :]:
            panel.set_axis_off()
        scores = 100 * trials.validation_hits20[trials.dataset == row[0][0]]
        scores = scores[scores > 0]  # a trial that diverged has the score 0
        panels[0].set_ylim(scores.min() - 0.1 * np.ptp(scores), scores.max() + 0.12 * np.ptp(scores))
        panels[0].set_ylabel(f"{study.dataset_label(row[0][0])}\nvalidation Hits@20 (%)")
    add_legends(fig, study, trials, dropouts)
    style.save(fig, out, NAME, lead_notes(study, trials.dataset.unique()))


def panel_rows(facets: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The panels of the figure, row by row; every dataset begins a new row."""
    rows = []
    for dataset in dict.fromkeys(dataset for dataset, _ in facets):
        own = [facet for facet in facets if facet[0] == dataset]
        rows += [own[start : start + ACROSS] for start in range(0, len(own), ACROSS)]
    return rows


def draw_trials(panel, trials, dropouts: Normalize) -> None:
    """One mark per trial, filled if no rung stopped it, and a ring around the best one."""
    for row in trials.itertuples():
        stopped = row.rung < trials.rung.max()
        colour = GREY if row.dropout != row.dropout else COLOURS(dropouts(row.dropout))
        panel.plot(
            row.learning_rate,
            100 * row.validation_hits20,
            marker=MARKERS.get(row.initialisation, "o"),
            color=colour,
            markerfacecolor="white" if stopped else colour,
            markersize=4,
            linestyle="",
        )
    best = trials.loc[trials.validation_hits20.idxmax()]
    panel.plot(best.learning_rate, 100 * best.validation_hits20, **RING)


def draw_lead(panel, study: Study, dataset: str) -> None:
    """A band from the best trial downwards, as high as AlterRec is from the best model that is no variant."""
    if found := lead(study, dataset):
        best = max(line.get_ydata()[0] for line in panel.lines)
        panel.axhspan(best - 100 * abs(found[1]), best, **LEAD)


def set_rate_axis(panel, tried) -> None:
    """A logarithmic axis with ticks at the rates of a grid, or else at a few round ones."""
    rates = sorted(tried.unique())
    panel.set_xscale("log")
    panel.set_xlim(rates[0] / 1.5, rates[-1] * 1.5)
    panel.xaxis.set_major_locator(FixedLocator(rates if len(rates) <= 3 else [1e-4, 3e-4, 1e-3, 3e-3]))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{1000 * rate:g}"))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_locator(MaxNLocator(5))
    panel.set_xlabel("1000 × learning rate")


def add_legends(fig, study: Study, trials, dropouts: Normalize) -> None:
    """A key per initialisation, for stopped trials, the best one and the lead; a colour bar for the dropout."""
    mark = {"color": GREY, "linestyle": "", "markersize": 4}
    keys = {
        name: Line2D([], [], marker=MARKERS.get(name, "o"), **mark)
        for name in sorted(trials.initialisation.dropna().unique())
    }
    if trials.rung.nunique() > 1:
        keys["stopped early"] = Line2D([], [], marker="o", markerfacecolor="white", **mark)
    keys["best"] = Line2D([], [], **RING | {"markersize": 7})
    if any(lead(study, dataset) for dataset in trials.dataset.unique()):
        keys[f"{study.label('alterrec')}'s distance from the best\nmodel that is no variant of it"] = Patch(
            **LEAD
        )
    fig.legend(
        keys.values(),
        keys.keys(),
        loc="outside upper center",
        ncols=len(keys),
        columnspacing=1.4,
        handlelength=1.2,
    )
    if trials.dropout.notna().any():
        bar = fig.colorbar(ScalarMappable(dropouts, COLOURS), ax=fig.axes, fraction=0.02, pad=0.01)
        bar.set_label("Dropout")
        bar.outline.set_linewidth(0.6)


if __name__ == "__main__":
    run(main, __doc__)
