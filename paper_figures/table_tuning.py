"""The tuning grid: points tried, the best point, and the range of validation Hits@20 over each setting."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run
from _table_writer import Column, Table, decimal, write
from _tuning_grid import NO_RECORD, SETTINGS, lead, record, score_ranges, shown_ranges, varied_settings


def main(study: Study, out: Path) -> None:
    points = record(study)
    rows = score_ranges(study, points)
    rows = rows.assign(
        _label=pd.Series(map(study.label, rows.model), dtype=object),
        _section=rows.dataset.map(study.dataset_label),
    )
    settings = varied_settings(points)
    kinds = {
        setting: "text" if setting in ("initialisation", "schedule") else "alpha" for setting in settings
    }
    columns = [
        Column("_label", "Model", "text"),
        Column("points", "Points tried", "count"),
        *[Column(setting, SETTINGS[setting].lower(), kinds[setting], "Best point") for setting in settings],
        Column("best_epoch", "epoch", "count", "Best point"),
        Column("best", "best", group="Validation Hits@20"),
        Column("worst", "worst", group="Validation Hits@20"),
        *[
            Column(f"range_{key}", name.lower(), group="Range over")
            for key, name in shown_ranges(rows).items()
        ],
    ]
    caption = (
        "Tuning: all tuned models were given the same grid. Points tried, the best point and its epoch, best and "
        "worst validation Hits@20 over all prefixes in percent. Range over a setting: largest minus smallest "
        "Hits@20, in percentage points, over the values of that setting with the other settings as in the best "
        "point; range over seed: over the seeds of the study."
    )
    found = {dataset: lead(study, dataset) for dataset in rows.dataset.unique()}
    leads = {dataset: best for dataset, best in found.items() if best}
    notes = [
        *([] if len(rows) else [NO_RECORD]),
        *lead_notes(study, leads),
        *study.data_notes(),
        *study.ensemble_notes(rival for rival, _ in leads.values()),
    ]
    write(Table("table_tuning", caption, rows, columns, notes), out)


def lead_notes(study: Study, leads: dict[str, tuple[str, float]]) -> list[str]:
    """A sentence per dataset: AlterRec minus the best other model on validation."""
    return [
        f"{study.dataset_label(dataset)}: {study.label('alterrec')} − {study.label(rival)} is "
        f"{decimal(100 * points, 2, sign=True)} points on validation, mean over seeds."
        for dataset, (rival, points) in leads.items()
    ]


if __name__ == "__main__":
    run(main, __doc__)
