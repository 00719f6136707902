"""A search that goes on from the record of an earlier one, on another machine or with more models."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alterrec.errors import UserError
from alterrec.files import write_json
from alterrec.study.resolve import Study
from alterrec.study.tuning import (
    RESULTS,
    members,
    rungs,
    trial_specs,
    trials_of_rung,
    tried,
    tuned_cells,
)

if TYPE_CHECKING:
    import pandas as pd

KEYS = ["dataset", "model", "rung", "trial"]


def restore(study: Study, record: Path, folder: Path) -> int:
    """Write the trials of a record, a CSV file as `tuning.choose` writes it, as if they had been run; return their number.

    `folder` is the study's folder tuning/. A trial of a later rung needs all trials of the rung before, and a composed trial
    is left out if the networks' best settings are now others. UserError, before anything is written, if a trial of the first
    rung has another seed or other settings of the space in the study than in the record. Nothing else is compared.
    """
    rows = rows_of(record)
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
            if key in rows.index and not other_settings(spec, rows.loc[key]):
                path.parent.mkdir(parents=True, exist_ok=True)
                results = {name: plain(rows.loc[key][name]) for name in RESULTS}
                write_json(path, {"spec": spec, "share": str(share)} | results)
                restored += 1
    return restored


def rows_of(record: Path) -> "pd.DataFrame":
    """The rows of a record by dataset, model, rung and trial. UserError if it is no record, or has a row twice."""
    import pandas as pd

    if not record.is_file():
        raise UserError(f"{record} is missing: name the CSV file of a search")
    table = pd.read_csv(record)
    if missing := {*KEYS, "seed", *RESULTS} - set(table):
        raise UserError(
            f"{record} has no column {', '.join(sorted(missing))}: it is no record of a search in rungs"
        )
    rows = table.set_index(KEYS)
    if not rows.index.is_unique:
        raise UserError(f"{record} has a trial twice: {rows.index[rows.index.duplicated()][0]}")
    return rows


def check_settings(spec: dict, row: "pd.Series", record: Path) -> None:
    for key, (found, value) in other_settings(spec, row).items():
        raise UserError(
            f"{record}: trial {spec['trial']} of {spec['model']} on {spec['dataset']} has {key} {found}, in this study "
            f"{value}: the record is of a search with another space or seed"
        )


def other_settings(spec: dict, row: "pd.Series") -> dict[str, tuple]:
    """The settings in which a row differs from a trial's spec: the row's value and the spec's."""
    own = {"seed": spec["seed"], **tried(spec)}
    found = {key: plain(row.get(key)) for key in own}
    return {key: (found[key], value) for key, value in own.items() if found[key] != value}


def plain(value: Any) -> Any:
    """A cell of the table as a JSON value; None if it is empty."""
    if value is None or value != value:
        return None
    return value.item() if hasattr(value, "item") else value
