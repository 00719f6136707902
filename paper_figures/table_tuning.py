"""Tuning: trials, the best one, and for a grid the range of validation Hits@20 over each setting."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run
from _table_writer import Column, Table, write
from _tuning_record import (
    NO_RECORD,
    SETTINGS,
    lead_notes,
    record,
    score_ranges,
    shown_ranges,
    varied_settings,
)


def main(study: Study, out: Path) -> None:
    points = record(study)
    rows = score_ranges(study, points)
    rows = rows.assign(
        _label=pd.Series(map(study.label, rows.model), dtype=object),
        _section=rows.dataset.map(study.dataset_label),
    )
    settings = varied_settings(points)
    kinds = {s: "text" if s.endswith(("initialisation", "schedule")) else "alpha" for s in settings}
    texts = {"own": "own settings", "edge": "at an edge of the space"}
    columns = [
        Column("_label", "Model", "text"),
        Column("points", "Trials", "count"),
        *[Column(setting, SETTINGS[setting].lower(), kinds[setting], "Best trial") for setting in settings],
        *[
            Column(key, name, "text", "Best trial", width="2.5cm")
            for key, name in texts.items()
            if rows[key].notna().any() and rows[key].ne("").any()
        ],
        Column("best_epoch", "epoch", "count", "Best trial"),
        Column("best", "best", group="Validation Hits@20"),
        Column("worst", "worst", group="Validation Hits@20"),
        *[
            Column(f"range_{key}", name.lower(), group="Range over")
            for key, name in shown_ranges(rows).items()
        ],
    ]
    caption = (
        "Tuning: all tuned models were given the same number of trials, or the same grid. Trials, the best one and "
        "its epoch, best and worst validation Hits@20 over all prefixes in percent. A trial that was stopped early "
        "counts with what it had reached. Range over a setting of a grid: largest minus smallest Hits@20, in percentage "
        "points, over the values of that setting with the other settings as in the best trial; range over seed: over "
        "the seeds of the study."
    )
    notes = [*([] if len(rows) else [NO_RECORD]), *lead_notes(study, rows.dataset.unique())]
    write(Table("table_tuning", caption, rows, columns, notes), out)


if __name__ == "__main__":
    run(main, __doc__)
