"""Validation and test Hits@20 against alpha, the weight of the ID score, for raw and for z-scored blending.

Curves are means over seeds. The band of a test curve goes from the lowest to the highest seed. Stars mark the alpha
that the model uses. The axis begins at 70 % of the highest point of the lowest curve, so that
differences near the highest points can be seen.
"""

from pathlib import Path

import _style as style
from _summary_folder import Study, run, select
from matplotlib.lines import Line2D

NAME = "figure_alpha_curve"
MODELS = ("fusion_score", "late_ensemble", "alterrec", "alterrec_aug")
BLENDS = {"raw": "raw scores", "zscore": "z-scored scores"}
SHOWN_FROM = 0.7  # of the highest point of the lowest curve


def main(study: Study, out: Path) -> None:
    curves = select(study.read("alpha"), metric="Hits")
    curves = curves[curves.model.isin(MODELS)]
    datasets = [d for d in study.real_datasets if d in set(curves.dataset)]
    blends = [b for b in BLENDS if b in set(curves.blend)]
    if not datasets or not blends:
        return style.save_empty(out, NAME, "No run of this study has ranks for several values of alpha.")
    width, height = (style.TEXT_WIDTH, 1.8) if len(blends) > 1 else (style.COLUMN_WIDTH, 2.0)
    fig, axes = style.new_figure(len(datasets), len(blends), width, height, sharex=True, sharey="row")
    for row, dataset in zip(axes, datasets, strict=True):
        for panel, blend in zip(row, blends, strict=True):
            draw(panel, study, select(curves, dataset=dataset, blend=blend))
            style.set_title(panel, study, dataset, f", {BLENDS[blend]}")
        means = (
            select(curves, dataset=dataset).groupby(["model", "blend", "split", "alpha"]).value.mean() * 100
        )
        highest = means.groupby(["model", "blend", "split"]).max()
        row[0].set_ylim(bottom=max(row[0].get_ylim()[0], SHOWN_FROM * highest.min()))
        row[0].set_ylabel("Hits@20 (%)")
    for panel in axes[-1]:
        panel.set_xlabel("α, weight of the ID score")
    add_legend(fig, study, 4 if len(blends) > 1 else 2)
    notes = study.data_notes() + study.ensemble_notes(curves.model) + study.missing_models(MODELS)
    style.save(fig, out, NAME, notes)


def draw(panel, study: Study, curves) -> None:
    """One panel: test as a solid line with a band, validation dotted, a star at every alpha that a seed uses."""
    for model in study.ordered(curves.model.unique()):
        properties = style.line_style(study, model)
        for split, line in (("validation", (0, (1, 1.5))), ("test", "-")):
            shown = select(curves, model=model, split=split)
            values = shown.groupby("alpha").value.agg(["mean", "min", "max"]) * 100
            curve_style = properties | {"linestyle": line, "markevery": 2}
            if split == "validation":
                panel.plot(values.index, values["mean"], **curve_style | {"marker": "", "label": None})
                continue
            panel.plot(values.index, values["mean"], **curve_style)
            panel.fill_between(
                values.index,
                values["min"],
                values["max"],
                color=curve_style["color"],
                alpha=style.BAND_OPACITY,
                linewidth=0,
            )
            chosen = values["mean"][sorted(shown.alpha[shown.chosen.astype(bool)].unique())]
            panel.plot(
                chosen.index,
                chosen,
                "*",
                color=curve_style["color"],
                markersize=9,
                markeredgecolor="black",
                markeredgewidth=0.6,
            )
    panel.set_xlim(-0.02, 1.02)


def add_legend(fig, study: Study, columns: int) -> None:
    """The models' legend, with keys for the split and for the alpha in use."""
    grey = {"color": "#444444"}
    style.add_legend(
        fig,
        study,
        columns,
        {
            "Test": Line2D([], [], **grey),
            "Validation": Line2D([], [], linestyle=(0, (1, 1.5)), **grey),
            "α in use": Line2D([], [], linestyle="", marker="*", markersize=8, **grey),
        },
    )


if __name__ == "__main__":
    run(main, __doc__)
