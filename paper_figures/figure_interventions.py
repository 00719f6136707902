"""What an intervention changes in a naive fusion: test Hits@20 of the whole model and of each part, one point per seed.

The first row of a panel is the untouched fusion. Dotted lines are the networks trained alone. Twins are not shown.
"""

from pathlib import Path

import _style as style
import pandas as pd
from _summary_folder import Study, run, select
from matplotlib.axes import Axes

NAME = "figure_interventions"
MARKS = {  # the part of a model: its label, the model whose colour and marker it has, and its place in the row
    "model": ("whole model", "late_ensemble", 0.0),
    "id": ("ID part", "id_only", 0.22),
    "text": ("text part", "text_only", 0.44),
}
ALONE = ("id_only", "text_only")
ABOVE = 0.28  # from the upper edge of a row to its first marks; a row is 1 high


def main(study: Study, out: Path) -> None:
    where = {key: value for key, value in study.primary.items() if key != "part"}
    scores = select(study.metrics, **where)
    panels = [
        (dataset, models)
        for dataset in study.real_datasets
        for fusion in study.naive_fusions()
        if len(models := with_variants(study, select(scores, dataset=dataset), fusion)) > 1
    ]
    if not panels:
        return style.save_empty(out, NAME, "This study has no variant of a naive fusion.")
    rows = max(len(models) for _, models in panels)
    fig, axes = style.new_figure(len(panels), 1, style.TEXT_WIDTH, 0.35 + 0.24 * rows, sharex=True)
    for (axis,), (dataset, models) in zip(axes, panels, strict=True):
        draw(axis, study, select(scores, dataset=dataset), models)
        style.set_title(axis, study, dataset, f", {study.label(models[0])}")
    axes[-1][0].set_xlabel("Test Hits@20 (%)")
    axes[-1][0].set_xlim(left=-0.3)  # last: it also fixes the right end of all panels
    style.add_legend(fig, study, 5)
    style.save(fig, out, NAME, study.data_notes() + study.missing_models(ALONE))


def with_variants(study: Study, scores: pd.DataFrame, fusion: str) -> list[str]:
    """The fusion and its variants, those that have scores."""
    ran = set(scores.model)
    return [model for model in study.models if model in ran and (study.varied(model) or model) == fusion]


def draw(panel: Axes, study: Study, scores: pd.DataFrame, models: list[str]) -> None:
    """One row per model from the top, one mark per seed and part."""
    for model in [model for model in ALONE if model in set(scores.model)]:
        alone, colour = select(scores, model=model, part="model").value.mean(), style.MODEL_STYLES[model][0]
        panel.axvline(100 * alone, color=colour, linewidth=0.8, linestyle=":", label=study.label(model))
    for part, (label, styled_as, shift) in MARKS.items():
        colour, marker, _ = style.MODEL_STYLES[styled_as]
        marks = {"color": colour, "alpha": 0.7, "label": label, "markeredgewidth": 0}
        for place, model in enumerate(models):
            values = 100 * select(scores, model=model, part=part).value
            panel.plot(values, [place + shift] * len(values), marker, **marks)
    panel.set_yticks([place + MARKS["id"][2] for place in range(len(models))], map(study.label, models))
    panel.set_ylim(len(models) - ABOVE, -ABOVE)
    for place in range(0, len(models), 2):
        panel.axhspan(place - ABOVE, place - ABOVE + 1, color="#f5f5f5", zorder=0)
    panel.grid(axis="y", visible=False)


if __name__ == "__main__":
    run(main, __doc__)
