"""Learning curves of AlterRec's two networks, beside joint training (score fusion) and training alone.

Validation Hits@20 of the ID network, the text network and the fused score over the optimiser steps of each network.
Curves are means over seeds, bands go from the lowest to the highest seed. Twins are not shown.
"""

from pathlib import Path

import _style as style
import pandas as pd
from _summary_folder import Study, run, select

NAME = "figure_alternation"
MODELS = ("id_only", "text_only", "fusion_score", "alterrec")
PANELS = {"id": "ID network", "text": "text network", "fused": "fused score"}


def main(study: Study, out: Path) -> None:
    history = study.read("history")
    history = history[history.model.isin(MODELS)]
    datasets = [d for d in study.real_datasets if d in set(history.dataset[history.model == "alterrec"])]
    if not datasets:
        return style.save_empty(out, NAME, "AlterRec is not in this study.")
    fig, axes = style.new_figure(
        len(datasets), len(PANELS), style.TEXT_WIDTH, 1.8, sharex="row", sharey="row"
    )
    for row, dataset in zip(axes, datasets, strict=True):
        for panel, (part, name) in zip(row, PANELS.items(), strict=True):
            draw(panel, study, select(history, dataset=dataset), part)
            style.set_title(panel, study, dataset, f"\n{name}")
        draw_late_ensemble(row[-1], study, dataset)
        row[0].set_ylabel("Validation Hits@20 (%)")
    for panel in axes[-1]:
        panel.set_xlabel("Optimiser steps per network")
    style.add_legend(fig, study, 3)
    notes = study.data_notes() + study.ensemble_notes([m for m in study.models if m == "late_ensemble"])
    style.save(fig, out, NAME, notes + study.missing_models([*MODELS, "late_ensemble"]))


def draw(panel, study: Study, history: pd.DataFrame, part: str) -> None:
    """One panel: every model with this part, and a vertical line where AlterRec's hard negatives begin."""
    for model in study.ordered(history.model.unique()):
        curve = of_part(select(history, model=model), part)
        if curve.value.notna().any():
            band = style.seed_band(curve, "value", "epoch")
            style.draw_band(panel, band.updates, band, style.line_style(study, model), 100)
        if model == "alterrec" and (hard := curve.updates[curve["mode"] != "random"]).size:
            at = (hard.min() + curve.updates[curve["mode"] == "random"].max()) / 2
            if pd.notna(at):
                panel.axvline(
                    at, color="#009E73", linewidth=0.9, linestyle=(0, (1, 2)), label="Hard negatives begin"
                )
    style.few_ticks(panel)


def of_part(history: pd.DataFrame, part: str) -> pd.DataFrame:
    """The epochs in which this part was trained. `value` is its Hits@20; `epoch` and `updates` count its own training.

    Only models with both parts have a fused score. Its updates are the mean over both networks, so that one step of
    a joint network is compared with one step of each alternating network.
    """
    if part != "fused":
        own = history[history.network.isin([part, "joint"])]
        return own.assign(value=own[f"{part}_hits20"], epoch=own.network_epoch)
    both = history.id_hits20.notna().any() and history.text_hits20.notna().any()
    if set(history.network) >= {"id", "text"}:
        done = history.sort_values("epoch").pivot_table(
            index=["seed", "epoch"], columns="network", values="updates"
        )
        mean = done.groupby("seed").ffill().fillna(0).mean(axis=1).rename("updates").reset_index()
        history = history.drop(columns="updates").merge(mean, on=["seed", "epoch"])
    return history.assign(value=history.hits20 if both else float("nan"))


def draw_late_ensemble(panel, study: Study, dataset: str) -> None:
    """A horizontal line at the late ensemble's mean validation Hits@20, and a band from its lowest to its highest seed."""
    hits = (
        100
        * select(
            study.metrics, dataset=dataset, model="late_ensemble", **study.primary | {"split": "validation"}
        ).value
    )
    if len(hits):
        properties = style.line_style(study, "late_ensemble") | {"marker": ""}
        panel.axhline(hits.mean(), **properties)
        panel.axhspan(
            hits.min(), hits.max(), color=properties["color"], alpha=style.BAND_OPACITY, linewidth=0
        )


if __name__ == "__main__":
    run(main, __doc__)
