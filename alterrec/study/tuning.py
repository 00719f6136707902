"""The tuning grid: every tuned model tries the same points, and the best one on validation is chosen.

A point's score is the validation Hits@20 of its best epoch, the measure by which training selects an epoch.
"""

from pathlib import Path
from typing import get_args

import pandas as pd
import yaml

from alterrec.errors import UserError
from alterrec.files import atomic, write_text
from alterrec.study.resolve import Study
from alterrec.study.settings import TUNED_KEYS

RECORD_COLUMNS = [
    *("dataset", "model", "seed", *TUNED_KEYS),
    *("validation_hits20", "best_epoch", "epochs", "updates"),
]


def tuned_models(study: Study) -> list[str]:
    """The models to tune: registered neural models that read no other model's run."""
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
    """The datasets to tune on: those that the config names, or all except twins."""
    chosen = study.config.tuning.datasets or study.config.datasets
    return [name for name in chosen if not study.twin_of(name)]


def grid_points(study: Study, model: str) -> dict[str, dict]:
    """Name -> settings of the grid's points whose initialisation `model` has. UserError if there is none."""
    field = study.model(model).module.Config.model_fields["initialisation"]
    known = get_args(field.annotation)
    found = [point for point in study.config.tuning.points() if point["initialisation"] in known]
    if not found:
        tried = ", ".join(study.config.tuning.initialisation)
        raise UserError(f"tuning: initialisation: {model} knows {', '.join(known)}, not {tried}")
    return {"-".join(map(str, point.values())): point for point in found}


def choose(records: list[Path], record: Path, chosen: Path) -> None:
    """Join the points' records into `record`; write each dataset's and model's best settings as YAML to `chosen`."""
    table = pd.concat([pd.read_csv(path) for path in records], ignore_index=True)
    table = table.sort_values(["dataset", "model", *TUNED_KEYS], ignore_index=True)
    best = table.loc[table.groupby(["dataset", "model"])["validation_hits20"].idxmax()]
    settings: dict[str, dict] = {}
    for row in best.itertuples():
        values = {key: getattr(row, key) for key in TUNED_KEYS}
        point = {key: value if isinstance(value, str) else float(value) for key, value in values.items()}
        settings.setdefault(row.dataset, {})[row.model] = point
    with atomic(record) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    heading = (
        "# Chosen by validation Hits@20 with `snakemake tune`. The CSV file beside it has every point.\n"
    )
    write_text(chosen, heading + yaml.safe_dump(settings))


def read_record(path: Path | None) -> pd.DataFrame:
    """A record with the columns `RECORD_COLUMNS`; a tuned key that it lacks is empty. No rows if `path` is None."""
    if path is None:
        return pd.DataFrame(columns=RECORD_COLUMNS)
    table = pd.read_csv(path)
    required = [column for column in RECORD_COLUMNS if column not in TUNED_KEYS]
    if missing := [column for column in required if column not in table]:
        raise UserError(
            f"{path} has no column {', '.join(missing)}: use the record that `snakemake tune` wrote"
        )
    return table.reindex(columns=RECORD_COLUMNS)
