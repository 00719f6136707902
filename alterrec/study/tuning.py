"""Equal chances: every tuned model tries the same grid, and its best point on validation is chosen.

A point is scored as training selects its best epoch: by validation Hits@20.
"""

from pathlib import Path
from typing import get_args

import pandas as pd
import yaml

from alterrec.errors import UserError
from alterrec.files import atomic, write_text
from alterrec.study.resolve import Study
from alterrec.study.settings import TUNED

RECORD = ["dataset", "model", "seed", *TUNED, "validation_hits20", "best_epoch", "epochs", "updates"]


def tuned_models(study: Study) -> list[str]:
    """The models that the grid is tried on: registered neural models that train all their networks themselves."""
    chosen = study.config.tuning.models or study.config.models
    return [
        name
        for name in chosen
        if name in study.registered
        and not study.model(name).external
        and not study.model(name).requires
        and {"initialisation", "learning_rate"} <= study.model(name).module.Config.model_fields.keys()
    ]


def tuned_datasets(study: Study) -> list[str]:
    """The datasets that the grid is tried on: those that the config names, or all but twins."""
    chosen = study.config.tuning.datasets or study.config.datasets
    return [name for name in chosen if not study.twin_of(name)]


def points(study: Study, model: str) -> dict[str, dict]:
    """The points of the grid that a model can take, by name. Not every model knows every initialisation."""
    field = study.model(model).module.Config.model_fields["initialisation"]
    known = get_args(field.annotation)
    found = [point for point in study.config.tuning.points() if point["initialisation"] in known]
    if not found:
        tried = ", ".join(study.config.tuning.initialisation)
        raise UserError(f"tuning: initialisation: {model} knows {', '.join(known)}, not {tried}")
    return {"-".join(map(str, point.values())): point for point in found}


def choose(records: list[Path], record: Path, chosen: Path) -> None:
    """Join the points' records and write, for every dataset and model, the settings with the best validation Hits@20."""
    table = pd.concat([pd.read_csv(path) for path in records], ignore_index=True)
    table = table.sort_values(["dataset", "model", *TUNED], ignore_index=True)
    best = table.loc[table.groupby(["dataset", "model"])["validation_hits20"].idxmax()]
    settings: dict[str, dict] = {}
    for row in best.itertuples():
        point = {key: value if isinstance(value := getattr(row, key), str) else float(value) for key in TUNED}
        settings.setdefault(row.dataset, {})[row.model] = point
    with atomic(record) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    heading = "# Chosen on validation Hits@20 by `snakemake tune`; the record that produced it is the CSV beside it.\n"
    write_text(chosen, heading + yaml.safe_dump(settings))


def read_record(path: Path | None) -> pd.DataFrame:
    """A record with the columns of `RECORD`: an axis that it does not name is empty; without a record there is no row."""
    if path is None:
        return pd.DataFrame(columns=RECORD)
    table = pd.read_csv(path)
    if missing := [column for column in RECORD if column not in table and column not in TUNED]:
        raise UserError(
            f"{path} has no column {', '.join(missing)}: give the record that `snakemake tune` wrote"
        )
    return table.reindex(columns=RECORD)
