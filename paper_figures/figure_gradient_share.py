"""Share of the ID part in the gradient and in the score of each naive fusion, over the epochs of training.

Curves are means over seeds, bands go from the lowest to the highest seed. At 0.5 both parts have equal shares. A sum has
no gradient share, because both of its parts receive the same gradient. Twins are not shown.
"""

from pathlib import Path

import _style as style
from _summary_folder import Study, run, select

NAME = "figure_gradient_share"
ROWS = {"gradient_share": "ID share of gradient", "score_share": "ID share of score"}


def main(study: Study, out: Path) -> None:
    curves = select(study.read("imbalance"), part="id")
    curves = curves[curves.model.isin(study.of_family("fusion"))].dropna(subset=list(ROWS), how="all")
    datasets = [d for d in study.real_datasets if d in set(curves.dataset)]
    if not datasets:
        return style.save_empty(out, NAME, "This study has no naive fusion.")
    width = style.COLUMN_WIDTH if len(datasets) == 1 else style.TEXT_WIDTH
    fig, axes = style.new_figure(2, len(datasets), width, 1.4, sharex="col", sharey="row")
    for column, dataset in enumerate(datasets):
        for row, (value, name) in enumerate(ROWS.items()):
            panel = axes[row][column]
            draw(panel, study, select(curves, dataset=dataset), value)
            panel.set_ylabel(name if column == 0 else "")
        style.set_title(axes[0][column], study, dataset)
        axes[-1][column].set_xlabel("Epoch")
    style.add_legend(fig, study, 2 if len(datasets) == 1 else 5)
    style.save(fig, out, NAME, study.data_notes())


def draw(panel, study: Study, curves, value: str) -> None:
    """One panel: the share of the ID part in each fusion over epochs, with a line at 0.5."""
    panel.axhline(0.5, color="black", linewidth=0.8, linestyle=(0, (1, 2)), label="Equal shares")
    for model in study.ordered(curves.model.unique()):
        band = style.seed_band(curves[curves.model == model], value)
        style.draw_band(panel, band.index, band, style.line_style(study, model))
    panel.set_ylim(0, 1)
    style.few_ticks(panel)


if __name__ == "__main__":
    run(main, __doc__)
