"""How each branch of a naive fusion learns: gradient, update, share of the score and quality, over its own epochs.

Gradient and update are those of the branch's own weights, divided by those of the same network trained alone at the same
epoch; at 1 the branch learns as it does alone. Curves are means over seeds, bands go from the lowest to the highest seed.
Variants and twins are not shown.
"""

from pathlib import Path

import _style as style
from _summary_folder import Study, run, select
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

NAME = "figure_branches"
ALONE = {"id": "id_only", "text": "text_only"}
KEYS = ["dataset", "model", "seed", "network_epoch", "updates", "part"]
ROWS = {
    "gradient_ratio": "Gradient norm\nover alone",
    "update_ratio": "Update size\nover alone",
    "score_share": "Share of\nthe score",
    "hits20": "Validation\nHits@20 (%)",
}
FARTHEST = 1000
"""Ratios are drawn from 1 / FARTHEST to FARTHEST: a branch that has stopped would otherwise take the whole axis."""
EVEN = {"gradient_ratio": 1, "update_ratio": 1, "score_share": 0.5}


def main(study: Study, out: Path) -> None:
    curves = study.read("imbalance").reindex(columns=[*KEYS, *ROWS])
    fusions = [model for model in study.naive_fusions() if model in set(curves.model)]
    measured = curves[curves.model.isin(fusions)].dropna(subset=["gradient_ratio", "update_ratio"], how="all")
    datasets = [dataset for dataset in study.real_datasets if dataset in set(measured.dataset)]
    if not datasets:
        return style.save_empty(out, NAME, "This study did not measure the branches of a naive fusion.")
    fig, axes = style.new_figure(
        len(ROWS), 2 * len(datasets), style.TEXT_WIDTH, 1.15, sharex="col", sharey="row"
    )
    for column, (dataset, part) in enumerate((d, part) for d in datasets for part in ALONE):
        shown = select(curves, dataset=dataset, part=part)
        for panels, value in zip(axes, ROWS, strict=True):
            draw(panels[column], study, shown, [ALONE[part], *fusions], value)
        style.set_title(axes[0][column], study, dataset, f"\n{style.PARTS[part]} branch")
        axes[-1][column].set_xlabel("Epoch")
    for panels, (value, label) in zip(axes, ROWS.items(), strict=True):
        panels[0].set_ylabel(label)
        set_range(panels[0], value)
    style.add_legend(fig, study, 4)
    style.save(fig, out, NAME, study.data_notes() + study.missing_models(ALONE.values()))


def draw(panel: Axes, study: Study, curves, models: list[str], value: str) -> None:
    """One panel: one branch of each fusion, and in the last row the network alone."""
    if value in EVEN:
        panel.axhline(EVEN[value], color="black", linewidth=0.8, linestyle=(0, (1, 2)))
        models = models[1:]
    for model in models:
        band = style.seed_band(curves[curves.model == model], value)
        style.draw_band(
            panel, band.index, band, style.line_style(study, model), 100 if value == "hits20" else 1
        )
    style.few_ticks(panel)


def set_range(panel: Axes, value: str) -> None:
    """The vertical axis of a row, which its panels share, after all of them are drawn."""
    if value.endswith("_ratio"):
        panel.set_yscale("log")
        low, high = panel.get_ylim()
        low, high = panel.set_ylim(max(low, 1 / FARTHEST), min(high, FARTHEST))
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 4, 7) if high < 30 * low else (1,), numticks=8))
        panel.yaxis.set_major_formatter(lambda number, _: f"{number:g}")
        panel.yaxis.set_minor_locator(NullLocator())
    elif value == "score_share":
        panel.set_ylim(0, 1)


if __name__ == "__main__":
    run(main, __doc__)
