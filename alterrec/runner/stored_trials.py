"""A search that goes on from the record of an earlier one, on another machine or with more models."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alterrec.errors import UserError
from alterrec.files import write_json
from alterrec.study.resolve import Study
from alterrec.study.tuning import (
    RESULTS,
    members,
    read_record,
    rungs,
    trial_specs,
    trials_of_rung,
    tried,
    tuned_cells,
)

if TYPE_CHECKING:
    import pandas as pd


def restore(study: Study, record: Path, folder: Path) -> int:
    """Write the trials of a record, a CSV file as `tuning.choose` writes it, as if they had been run; return their number.

    `folder` is the study's folder tuning/. A trial of a later rung needs all trials of the rung before. UserError, before
    anything is written, if a trial has other settings in the study than in the record.
    """
    import pandas as pd

    read_record(record)  # an error says what is missing
    rows = pd.read_csv(record, index_col=["dataset", "model", "rung", "trial"])
    stored = {(dataset, model) for dataset, model, *_ in rows.index} & set(tuned_cells(study))
    # a composed trial reads the records of both networks alone
    cells = sorted(
        filter(stored.__contains__, tuned_cells(study)), key=lambda cell: len(members(study, *cell))
    )
    for cell in cells:
        for number, spec in trial_specs(study, *cell).items():
            if (*cell, 1, number) in rows.index:
                check_settings(spec, rows.loc[(*cell, 1, number)], record)
    restored = 0
    for rung in range(1, study.config.tuning.rungs + 1):
        for cell in cells:
            if rung <= len(rungs(study, cell[1])):
                restored += restore_rung(study, *cell, rung, rows, folder)
    return restored


def restore_rung(
    study: Study, dataset: str, model: str, rung: int, rows: "pd.DataFrame", folder: Path
) -> int:
    """Write those trials of a rung that the record has; return their number."""
    _, share = rungs(study, model)[rung - 1]
    restored = 0
    for path, trial in trials_of_rung(study, folder, dataset, model, rung).items():
        if all(needed.is_file() for needed in trial.records):
            spec = trial.find()
            key = (dataset, model, rung, spec["trial"])
            if key in rows.index:
                path.parent.mkdir(parents=True, exist_ok=True)
                results = {name: plain(rows.loc[key][name]) for name in RESULTS}
                write_json(path, {"spec": spec, "share": str(share)} | results)
                restored += 1
    return restored


def check_settings(spec: dict, row: "pd.Series", record: Path) -> None:
    for key, value in {"seed": spec["seed"], **tried(spec)}.items():
        if plain(row.get(key)) != value:
            raise UserError(
                f"{record}: trial {spec['trial']} of {spec['model']} on {spec['dataset']} has {key} "
                f"{plain(row.get(key))}, in this study {value}: the record is of a search with another space or seed"
            )


def plain(value: Any) -> Any:
    """A cell of the table as a JSON value; None if it is empty."""
    if value is None or value != value:
        return None
    return value.item() if hasattr(value, "item") else value
