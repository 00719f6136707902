"""Validation Hits@20 and training loss of each part inside a naive fusion, beside the network alone.

Mean over seeds with a band from minimum to maximum, over the network's own updates; twins are left out.
"""

from pathlib import Path

import _style as style
from _summary_folder import Study, run, select

NAME = "figure_imbalance_dynamics"
ALONE = {"id": "id_only", "text": "text_only"}
ROWS = {"hits20": ("Validation Hits@20 (%)", 100), "loss": ("Training loss (nats)", 1)}
ABREAST = 2  # datasets side by side


def main(study: Study, out: Path) -> None:
    curves = study.read("imbalance")
    fusions = [m for m in study.of_family("fusion") if m in set(curves.model)]
    datasets = [d for d in study.real_datasets if d in set(curves.dataset)]
    if not datasets or not fusions:
        return style.nothing(out, NAME, "No naive fusion in this study.")
    bands = -(-len(datasets) // ABREAST)
    columns = 2 * min(len(datasets), ABREAST)
    drawing, axes = style.figure(2 * bands, columns, style.TEXT, 1.5 if columns > 2 else 1.7)
    for place, dataset in enumerate(datasets):
        for column, part in enumerate(ALONE):
            for row, value in enumerate(ROWS):
                panel = axes[2 * (place // ABREAST) + row][2 * (place % ABREAST) + column]
                shown = select(curves, dataset=dataset, part=part)
                draw(panel, study, shown, [ALONE[part], *fusions], value)
                if row == 0:
                    style.title(panel, study, dataset, f"\n{style.PARTS[part]} part")
                panel.tick_params(labelbottom=row == 1)
                panel.set_ylabel(ROWS[value][0] if column == 0 else "")
    for panel in [panel for row in axes for panel in row]:
        panel.set_visible(panel.has_data())
    for panel in [panel for row in axes[1::2] for panel in row]:
        panel.set_xlabel("Own updates")
    style.legend(drawing, study, 3)
    style.save(drawing, out, NAME, study.remarks() + study.absent(ALONE.values()))


def draw(panel, study: Study, curves, models: list[str], value: str) -> None:
    """One panel: each model's part over its updates; the network trained alone is drawn thicker."""
    for model in models:
        band = style.over_seeds(curves[curves.model == model], value)
        properties = style.look(study, model) | ({"linewidth": 1.8} if model in ALONE.values() else {})
        style.draw_band(panel, band.updates, band, properties, ROWS[value][1])
    style.few_ticks(panel)


if __name__ == "__main__":
    run(main, __doc__)
