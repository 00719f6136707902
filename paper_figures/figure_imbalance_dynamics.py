"""Validation Hits@20 and training loss of each part inside a naive fusion, beside the network trained alone.

The horizontal axis counts the optimiser steps of the network. Curves are means over seeds, bands go from the lowest
to the highest seed. Variants and twins are not shown.
"""

from pathlib import Path

import _style as style
from _summary_folder import Study, run, select

NAME = "figure_imbalance_dynamics"
ALONE = {"id": "id_only", "text": "text_only"}
ROWS = {"hits20": ("Validation Hits@20 (%)", 100), "loss": ("Training loss (nats)", 1)}
DATASETS_PER_ROW = 2


def main(study: Study, out: Path) -> None:
    curves = study.read("imbalance")
    fusions = [model for model in study.naive_fusions() if model in set(curves.model)]
    datasets = [d for d in study.real_datasets if d in set(curves.dataset)]
    if not datasets or not fusions:
        return style.save_empty(out, NAME, "This study has no naive fusion.")
    row_pairs = -(-len(datasets) // DATASETS_PER_ROW)
    columns = 2 * min(len(datasets), DATASETS_PER_ROW)
    fig, axes = style.new_figure(2 * row_pairs, columns, style.TEXT_WIDTH, 1.5 if columns > 2 else 1.7)
    for position, dataset in enumerate(datasets):
        for column, part in enumerate(ALONE):
            for row, value in enumerate(ROWS):
                panel = axes[2 * (position // DATASETS_PER_ROW) + row][
                    2 * (position % DATASETS_PER_ROW) + column
                ]
                shown = select(curves, dataset=dataset, part=part)
                draw(panel, study, shown, [ALONE[part], *fusions], value)
                if row == 0:
                    style.set_title(panel, study, dataset, f"\n{style.PARTS[part]} part")
                panel.tick_params(labelbottom=row == 1)
                panel.set_ylabel(ROWS[value][0] if column == 0 else "")
    for panel in [panel for row in axes for panel in row]:
        panel.set_visible(panel.has_data())
    for panel in [panel for row in axes[1::2] for panel in row]:
        panel.set_xlabel("Optimiser steps")
    style.add_legend(fig, study, 3)
    style.save(fig, out, NAME, study.data_notes() + study.missing_models(ALONE.values()))


def draw(panel, study: Study, curves, models: list[str], value: str) -> None:
    """One panel: one part of each model over its optimiser steps. The network trained alone is drawn thicker."""
    for model in models:
        band = style.seed_band(curves[curves.model == model], value)
        properties = style.line_style(study, model) | ({"linewidth": 1.8} if model in ALONE.values() else {})
        style.draw_band(panel, band.updates, band, properties, ROWS[value][1])
    style.few_ticks(panel)


if __name__ == "__main__":
    run(main, __doc__)
