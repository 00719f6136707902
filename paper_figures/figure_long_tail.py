"""Difference from ID only in test Hits@20 by how often the target occurs in training, with 95 % intervals.

Shows the text network, the best naive fusion, the late ensemble and AlterRec. Cold targets have a bin of their own; a bin
of few instances is left out. Twins are not shown.
"""

from pathlib import Path

import _style as style
import numpy as np
import pandas as pd
from _summary_folder import Study, bin_range, run, select

NAME = "figure_long_tail"
BASE, BEFORE, AFTER = "id_only", ("text_only",), ("late_ensemble", "alterrec", "alterrec_aug")
FEWEST_INSTANCES = 50
DATASETS_PER_ROW = 2
BIN_WIDTH = 0.64  # of the models' points together; bins are 1 apart


def main(study: Study, out: Path) -> None:
    tail = select(study.long_tail, metric="Hits")
    tail = with_differences(tail[tail.dataset.isin(study.real_datasets)])
    fusions = {study.best_fusion(dataset) for dataset in study.real_datasets}
    compared = tail[tail.model.isin({*BEFORE, *AFTER} | fusions) & (tail.instances >= FEWEST_INSTANCES)]
    datasets = [d for d in study.real_datasets if d in set(compared.dataset[compared.difference.notna()])]
    if not datasets:
        return style.save_empty(out, NAME, "This study has no difference from ID only.")
    rows, columns = -(-len(datasets) // DATASETS_PER_ROW), min(len(datasets), DATASETS_PER_ROW)
    width, height = (style.COLUMN_WIDTH, 2.6) if columns == 1 else (style.TEXT_WIDTH, 2.4)
    fig, axes = style.new_figure(rows, columns, width, height)
    panels = [panel for row in axes for panel in row]
    for panel, dataset in zip(panels, datasets, strict=False):
        draw(
            panel,
            study,
            dataset,
            select(compared, dataset=dataset),
            select(tail, dataset=dataset, model=BASE),
        )
        panel.set_xlabel("Occurrences of the target in training")
    for row in axes:
        row[0].set_ylabel("Difference from ID only\nin test Hits@20 (points)")
    for panel in panels[len(datasets) :]:
        panel.remove()
    style.add_legend(fig, study, 2 if columns == 1 else 5)
    notes = [
        "n: number of test instances in the bin. Below n: Hits@20 of ID only.",
        *left_out(study, tail),
        *(
            []
            if compared.difference_low.notna().any()
            else ["This summary has no intervals of the differences."]
        ),
        *study.data_notes(),
        *study.ensemble_notes(compared.model),
    ]
    style.save(fig, out, NAME, notes + study.missing_models([*BEFORE, *AFTER]))


def with_differences(tail: pd.DataFrame) -> pd.DataFrame:
    """The rows with their differences from ID only; a summary of before these were added gives no intervals."""
    if "difference" in tail:
        return tail
    base = select(tail, model=BASE).set_index(["dataset", "bin"]).value.rename("base")
    tail = tail.join(base, on=["dataset", "bin"])
    return tail.assign(difference=tail.value - tail.base, difference_low=np.nan, difference_high=np.nan)


def draw(panel, study: Study, dataset: str, compared: pd.DataFrame, base: pd.DataFrame) -> None:
    """One panel: the models' differences side by side within each bin. The cold bin is shaded."""
    models = [m for m in (*BEFORE, study.best_fusion(dataset), *AFTER) if m in set(compared.model)]
    bins = base[base.bin.isin(compared.bin)].sort_values("bin").reset_index(drop=True)
    shifts = BIN_WIDTH * ((np.arange(len(models)) + 0.5) / len(models) - 0.5)
    panel.axhline(0, color="#444444", linewidth=0.8)
    for shift, model in zip(shifts, models, strict=True):
        points = select(compared, model=model)
        at = points.bin.map({number: place for place, number in enumerate(bins.bin)}) + shift
        spread = np.abs(
            [points.difference - points.difference_low, points.difference_high - points.difference]
        )
        properties = style.line_style(study, model) | {"linestyle": ""}
        panel.errorbar(at, 100 * points.difference, 100 * spread, **properties, elinewidth=0.8)
    if (bins.bin == 0).any():
        panel.axvspan(-0.5, 0.5, color="#eeeeee", zorder=0, linewidth=0)
    panel.margins(y=0.1)
    panel.set_xlim(-0.5, len(bins) - 0.5)
    panel.set_xticks(bins.index, labels(bins))
    panel.grid(axis="x", visible=False)
    style.set_title(panel, study, dataset)


def labels(bins: pd.DataFrame) -> list[str]:
    """Range of counts, number of instances and Hits@20 of ID only of every bin. A long range takes two lines."""
    ranges = [bin_range(row) for row in bins.itertuples()]
    if max(map(len, ranges)) > 8:
        ranges = [text.replace("–", "–\n") if "–" in text else f"{text}\n" for text in ranges]
    return [
        f"{text}\nn={style.short_count(row.instances)}\n{100 * row.value:.1f} %"
        for text, row in zip(ranges, bins.itertuples(), strict=True)
    ]


def left_out(study: Study, tail: pd.DataFrame) -> list[str]:
    """A sentence that names the bins of few instances; none if there is no such bin."""
    small = tail[tail.instances < FEWEST_INSTANCES].drop_duplicates(["dataset", "bin"])
    named = [f"{study.dataset_label(row.dataset)}, {bin_range(row)}" for row in small.itertuples()]
    return [f"Left out, with fewer than {FEWEST_INSTANCES} instances: {'; '.join(named)}."] if named else []


if __name__ == "__main__":
    run(main, __doc__)
