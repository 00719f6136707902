"""What alternation changes: AlterRec's networks beside joint training and training alone.

Validation Hits@20 of the ID network, of the text network and of the fused score over updates per network;
mean over seeds with a band from minimum to maximum; twins are left out.
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
        return style.nothing(out, NAME, "AlterRec is not in this study.")
    drawing, axes = style.figure(len(datasets), len(PANELS), style.TEXT, 1.8, sharex="row")
    for row, dataset in zip(axes, datasets, strict=True):
        for panel, (part, name) in zip(row, PANELS.items(), strict=True):
            draw(panel, study, select(history, dataset=dataset), part)
            style.title(panel, study, dataset, f"\n{name}")
        late_ensemble(row[-1], study, dataset)
        row[0].set_ylabel("Validation Hits@20 (%)")
    for panel in axes[-1]:
        panel.set_xlabel("Updates per network")
    style.legend(drawing, study, 3)
    style.save(drawing, out, NAME, study.remarks() + study.absent([*MODELS, "late_ensemble"]))


def draw(panel, study: Study, history: pd.DataFrame, part: str) -> None:
    """One panel: every model that has this part; a vertical line where AlterRec's hard negatives begin."""
    for model in study.ordered(history.model.unique()):
        curve = of_part(select(history, model=model), part)
        if curve.value.notna().any():
            band = style.over_seeds(curve, "value", "epoch")
            style.draw_band(panel, band.updates, band, style.look(study, model), 100)
        if model == "alterrec" and (hard := curve.updates[curve["mode"] != "random"]).size:
            at = (hard.min() + curve.updates[curve["mode"] == "random"].max()) / 2
            if pd.notna(at):
                panel.axvline(
                    at, color="#009E73", linewidth=0.9, linestyle=(0, (1, 2)), label="Hard negatives begin"
                )
    style.few_ticks(panel)


def of_part(history: pd.DataFrame, part: str) -> pd.DataFrame:
    """The epochs in which this part was trained, with `value` its Hits@20 and its own epochs and updates.

    The fused score belongs to models with both parts; its updates are the mean of both networks', so that one
    update of a joint network stands beside one of each alternating network.
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


def late_ensemble(panel, study: Study, dataset: str) -> None:
    """Where the late ensemble of the networks trained alone stands on validation."""
    value = select(
        study.metrics, dataset=dataset, model="late_ensemble", **study.primary | {"split": "validation"}
    ).value
    if len(value):
        panel.axhline(100 * value.mean(), **style.look(study, "late_ensemble") | {"marker": ""})


if __name__ == "__main__":
    run(main, __doc__)
