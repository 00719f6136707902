"""Test Hits@20 by how often the target occurs in training, with 95 % intervals. Cold targets have a bin of their own.

Shows the single networks, the best naive fusion, the late ensemble and AlterRec. Twins are not shown.
"""

from pathlib import Path

import _style as style
import numpy as np
from _summary_folder import Study, run, select

NAME = "figure_long_tail"
BEFORE, AFTER = ("id_only", "text_only"), ("late_ensemble", "alterrec", "alterrec_aug")
DATASETS_PER_ROW = 2
BIN_WIDTH = 0.64  # of the models' points together; bins are 1 apart


def main(study: Study, out: Path) -> None:
    tail = select(study.long_tail, metric="Hits")
    fusions = {study.best_fusion(dataset) for dataset in study.real_datasets}
    tail = tail[tail.model.isin({*BEFORE, *AFTER} | fusions)]
    datasets = [d for d in study.real_datasets if d in set(tail.dataset)]
    if not datasets:
        return style.save_empty(out, NAME, "This study has none of this figure's models.")
    rows, columns = -(-len(datasets) // DATASETS_PER_ROW), min(len(datasets), DATASETS_PER_ROW)
    width, height = (style.COLUMN_WIDTH, 2.2) if columns == 1 else (style.TEXT_WIDTH, 2.1)
    fig, axes = style.new_figure(rows, columns, width, height)
    panels = [panel for row in axes for panel in row]
    for panel, dataset in zip(panels, datasets, strict=False):
        draw(panel, study, dataset, select(tail, dataset=dataset))
        panel.set_xlabel("Occurrences of the target in training")
    for row in axes:
        row[0].set_ylabel("Test Hits@20 (%)")
    for panel in panels[len(datasets) :]:
        panel.remove()
    style.add_legend(fig, study, 2 if columns == 1 else 6)
    notes = [
        "n: number of test instances in the bin.",
        *study.data_notes(),
        *study.ensemble_notes(tail.model),
    ]
    style.save(fig, out, NAME, notes + study.missing_models([*BEFORE, *AFTER]))


def draw(panel, study: Study, dataset: str, tail) -> None:
    """One panel: points side by side within a bin, joined by a line over the warm bins. The cold bin is shaded."""
    models = [m for m in (*BEFORE, study.best_fusion(dataset), *AFTER) if m in set(tail.model)]
    bins = tail.drop_duplicates("bin").sort_values("bin")
    shifts = BIN_WIDTH * ((np.arange(len(models)) + 0.5) / len(models) - 0.5)
    for shift, model in zip(shifts, models, strict=True):
        points = select(tail, model=model).sort_values("bin")
        properties = style.line_style(study, model)
        for part in (points[points.bin == 0], points[points.bin > 0]):
            spread = np.clip([part.value - part.low, part.high - part.value], 0, None) * 100
            panel.errorbar(part.bin + shift, 100 * part.value, spread, **properties, elinewidth=0.8)
    if (bins.bin == 0).any():
        panel.axvspan(-0.5, 0.5, color="#eeeeee", zorder=0, linewidth=0)
    panel.set_xlim(bins.bin.min() - 0.5, bins.bin.max() + 0.5)
    panel.set_xticks(bins.bin, labels(bins))
    panel.set_ylim(bottom=-0.03 * panel.get_ylim()[1])
    panel.grid(axis="x", visible=False)
    style.set_title(panel, study, dataset)


def labels(bins) -> list[str]:
    """Range of counts and number of instances of every bin. A long range takes two lines."""
    ranges = [
        f"{row.low_count:.0f}"
        if row.low_count == row.high_count
        else f"{row.low_count:.0f}–{row.high_count:.0f}"
        for row in bins.itertuples()
    ]
    if max(map(len, ranges)) > 8:
        ranges = [text.replace("–", "–\n") if "–" in text else f"{text}\n" for text in ranges]
    names = [
        text.replace("0", "cold", 1) if bin_number == 0 else text
        for bin_number, text in zip(bins.bin, ranges, strict=True)
    ]
    return [
        f"{text}\nn={style.short_count(count)}" for text, count in zip(names, bins.instances, strict=True)
    ]


if __name__ == "__main__":
    run(main, __doc__)
