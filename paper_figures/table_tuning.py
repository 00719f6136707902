"""The tuning grid: points tried, the best one, and how far each setting alone moves validation Hits@20."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run
from _table_writer import Column, Table, fixed, write
from _tuning_grid import AXES, NO_RECORD, choices, lead, moves, record, varied


def main(study: Study, out: Path) -> None:
    points = record(study)
    rows = moves(study, points)
    rows = rows.assign(
        _label=pd.Series(map(study.label, rows.model), dtype=object),
        _section=rows.dataset.map(study.dataset_label),
    )
    axes = varied(points)
    kinds = {axis: "text" if axis in ("initialisation", "schedule") else "alpha" for axis in axes}
    columns = [
        Column("_label", "Model", "text"),
        Column("points", "Points tried", "count"),
        *[Column(axis, AXES[axis].lower(), kinds[axis], "Best point") for axis in axes],
        Column("best_epoch", "epoch", "count", "Best point"),
        Column("best", "best", group="Validation Hits@20"),
        Column("worst", "worst", group="Validation Hits@20"),
        *[Column(f"moved_{key}", name.lower(), group="Moved by") for key, name in choices(rows).items()],
    ]
    caption = (
        "The grid that every tuned model was given: points tried, the best one and its epoch, best and worst "
        "validation Hits@20 over all prefixes in percent, and the range, in percentage points, over the values of one "
        "setting with the others as in the best point; for the seed, over the seeds of the study."
    )
    notes = [*([] if len(rows) else [NO_RECORD]), *leads(study, rows.dataset.unique()), *study.remarks()]
    write(Table("table_tuning", caption, rows, columns, notes), out)


def leads(study: Study, datasets) -> list[str]:
    """A sentence per dataset: how far AlterRec is ahead of its best rival on validation."""
    found = {dataset: lead(study, dataset) for dataset in datasets}
    return [
        f"{study.dataset_label(dataset)}: {study.label('alterrec')} − {study.label(one[0])} is "
        f"{fixed(100 * one[1], 2, sign=True)} points on validation, mean over seeds."
        for dataset, one in found.items()
        if one
    ]


if __name__ == "__main__":
    run(main, __doc__)
