"""Equal chances: every tuned model tries the same grid, chosen on validation by the selection rule of its training."""

from pathlib import Path

import pandas as pd
import yaml

from alterrec.config import TUNED
from alterrec.errors import UserError
from alterrec.files import atomic, write_text

RECORD = ["dataset", "model", "seed", *TUNED, "validation_hits20", "best_epoch", "epochs", "updates"]


def tune(spec: dict, data: Path, out: Path) -> None:
    """Train one point of the grid and write its row as CSV."""
    from alterrec.run import fit

    history = fit(spec, data, out)[0].history
    best = max(history, key=lambda epoch: epoch["hits20"])
    row = (
        {"dataset": spec["dataset"], "model": spec["model"], "seed": spec["seed"]}
        | {key: spec["config"][key] for key in TUNED}
        | {"validation_hits20": best["hits20"], "best_epoch": best["epoch"], "epochs": len(history)}
        | {"updates": sum(epoch["updates"] for epoch in last_of_each_network(history))}
    )
    with atomic(out) as temporary:
        pd.DataFrame([row]).to_csv(temporary, index=False, float_format="%.6g")


def last_of_each_network(history: list[dict]) -> list[dict]:
    return list({epoch["network"]: epoch for epoch in history}.values())


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
