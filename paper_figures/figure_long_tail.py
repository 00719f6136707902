"""Test Hits@20 by how often the target occurs in training, with 95 % intervals; cold targets apart.

Shows the single networks, the best naive fusion, the late ensemble and AlterRec; twins are left out.
"""

from pathlib import Path

import _style as style
import numpy as np
from _summary_folder import Study, run, select

NAME = "figure_long_tail"
BEFORE, AFTER = ("id_only", "text_only"), ("late_ensemble", "alterrec", "alterrec_aug")
ABREAST = 2


def main(study: Study, out: Path) -> None:
    tail = select(study.tail, metric="Hits")
    fusions = {study.best_fusion(dataset) for dataset in study.real_datasets}
    tail = tail[tail.model.isin({*BEFORE, *AFTER} | fusions)]
    datasets = [d for d in study.real_datasets if d in set(tail.dataset)]
    if not datasets:
        return style.nothing(out, NAME, "None of this figure's models is in this study.")
    rows, columns = -(-len(datasets) // ABREAST), min(len(datasets), ABREAST)
    width, height = (style.COLUMN, 2.2) if columns == 1 else (style.TEXT, 2.1)
    drawing, axes = style.figure(rows, columns, width, height)
    panels = [panel for row in axes for panel in row]
    for panel, dataset in zip(panels, datasets, strict=False):
        draw(panel, study, dataset, select(tail, dataset=dataset))
        panel.set_xlabel("Occurrences of the target in training")
    for row in axes:
        row[0].set_ylabel("Test Hits@20 (%)")
    for panel in panels[len(datasets) :]:
        panel.remove()
    style.legend(drawing, study, 2 if columns == 1 else 6)
    absent = study.absent([*BEFORE, *AFTER])
    style.save(drawing, out, NAME, ["n: test instances of the bin."] + study.remarks() + absent)


def draw(panel, study: Study, dataset: str, tail) -> None:
    """One panel: points side by side within a bin, joined over the warm bins; the cold bin is shaded."""
    models = [m for m in (*BEFORE, study.best_fusion(dataset), *AFTER) if m in set(tail.model)]
    bins = tail.drop_duplicates("bin").sort_values("bin")
    for shift, model in zip(np.linspace(-0.27, 0.27, len(models)), models, strict=True):
        points = select(tail, model=model).sort_values("bin")
        properties = style.look(study, model)
        for joined in (points[points.bin == 0], points[points.bin > 0]):
            spread = np.clip([joined.value - joined.low, joined.high - joined.value], 0, None) * 100
            panel.errorbar(joined.bin + shift, 100 * joined.value, spread, **properties, elinewidth=0.8)
    if (bins.bin == 0).any():
        panel.axvspan(-0.5, 0.5, color="#eeeeee", zorder=0, linewidth=0)
    panel.set_xlim(bins.bin.min() - 0.5, bins.bin.max() + 0.5)
    panel.set_xticks(bins.bin, labels(bins))
    panel.set_ylim(bottom=-0.03 * panel.get_ylim()[1])
    panel.grid(axis="x", visible=False)
    style.title(panel, study, dataset)


def labels(bins) -> list[str]:
    """Count range and number of instances of every bin; long ranges take two lines."""
    ranges = [
        f"{one.low_count:.0f}"
        if one.low_count == one.high_count
        else f"{one.low_count:.0f}–{one.high_count:.0f}"
        for one in bins.itertuples()
    ]
    if max(map(len, ranges)) > 8:
        ranges = [text.replace("–", "–\n") if "–" in text else f"{text}\n" for text in ranges]
    names = [
        text.replace("0", "cold", 1) if number == 0 else text
        for number, text in zip(bins.bin, ranges, strict=True)
    ]
    return [f"{text}\nn={style.short(count)}" for text, count in zip(names, bins.instances, strict=True)]


if __name__ == "__main__":
    run(main, __doc__)
