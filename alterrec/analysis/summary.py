"""The runs of a study -> summary/: all that a table, figure or claim prints, from ranks and histories.

Runs are read one at a time; of each only its metrics, histories and the Hits@20 and NDCG@20 of its test
instances are kept, and those only until its dataset (with its twins) is done.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from alterrec.analysis import claims
from alterrec.analysis.imbalance import imbalance_table, undertraining_table
from alterrec.analysis.long_tail import coverage, equal_mass_bins, long_tail_table
from alterrec.analysis.outcomes import Outcomes
from alterrec.analysis.permuted_texts import permuted_table
from alterrec.analysis.significance import significance_table
from alterrec.analysis.statistics import (
    LEVEL,
)
from alterrec.analysis.summary_schema import COLUMNS, VERSION
from alterrec.analysis.summary_tables import Groups, alpha_rows, dataset_row, metrics_rows, recommended
from alterrec.data.dataset import Dataset
from alterrec.errors import UserError
from alterrec.files import write_json, write_parquet
from alterrec.ranking.metrics import K
from alterrec.ranking.rank_file import instances, read_parquet, read_ranks
from alterrec.study.tuning import read_record

HISTORY_NUMBERS = COLUMNS["history"][COLUMNS["history"].index("learning_rate") :]


def summarise(study: dict, out: Path, resamples: int = 10_000) -> None:
    """Write every file of the summary folder `out`.

    `study` is what `alterrec.study.summary_input` returns; `resamples` is the number of bootstrap and permutation samples.
    UserError names the first run that is missing or breaks the schema of ranks.
    """
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in COLUMNS}
    tables["tuning"].append(read_record(study.get("tuning")))
    progress = tqdm(total=len(study["cells"]), desc="summary", unit="run", disable=None)
    for name, twin in with_twins(study["datasets"]):
        real = summarise_dataset(study, name, tables, progress, resamples)
        permuted = summarise_dataset(study, twin, tables, progress, resamples) if twin else None
        tables["claims"].append(claims.findings(real, permuted, claim_notes(tables["datasets"], name)))
        if permuted:
            tables["permuted"].append(permuted_table(real, permuted))
    progress.close()
    found = tables.pop("claims")
    frames = {name: joined(parts) for name, parts in tables.items()}
    frames["claims"] = claims.claims_table(found) if found else pd.DataFrame()
    frames["history"] = with_columns("history", frames["history"])
    frames["imbalance"] = imbalance_table(frames["history"], study["models"])
    for name, frame in frames.items():
        write_parquet(Path(out) / f"{name}.parquet", with_columns(name, frame))
    write_json(Path(out) / "study.json", without_paths(study) | {"version": VERSION, "k": K, "level": LEVEL})


def joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def with_columns(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The table with all of its columns, those that no run has left empty."""
    return frame.reindex(columns=[*COLUMNS[name]])


def without_paths(study: dict) -> dict:
    cells = [{key: value for key, value in cell.items() if key != "path"} for cell in study["cells"]]
    datasets = {
        name: {key: value for key, value in about.items() if key != "path"}
        for name, about in study["datasets"].items()
    }
    kept = {key: value for key, value in study.items() if key != "tuning"}
    return kept | {"cells": cells, "datasets": datasets}


def with_twins(datasets: dict[str, dict]) -> Iterator[tuple[str, str | None]]:
    """Every dataset with its twin, or with None; a twin is no dataset of its own."""
    twins = {about["twin_of"]: name for name, about in datasets.items() if about.get("twin_of")}
    for name, about in datasets.items():
        if not about.get("twin_of"):
            yield name, twins.get(name)


def claim_notes(rows: list[pd.DataFrame], name: str) -> list[str]:
    about = next(frame.iloc[0] for frame in rows if frame["dataset"].iloc[0] == name)
    return [claims.DRAWN_ORDER] * (not about["order_known"]) + [claims.DEMO] * bool(about["demo"])


def summarise_dataset(
    study: dict, name: str, tables: dict[str, list], progress: tqdm, resamples: int
) -> Outcomes:
    """Add the tables of one dataset's runs and return their outcomes."""
    about = study["datasets"][name]
    dataset = Dataset.load(Path(about["path"]))
    where = instances(dataset)
    if not (where["split"] == "test").any():
        raise UserError(f"{about['path']}: the dataset has no test instance")
    targets = where.loc[where["split"] == "test", "target"].to_numpy()
    bins = equal_mass_bins(dataset.train_count[targets])
    outcomes = Outcomes(name, where, bins.of(dataset.train_count), study["models"])
    groups = Groups(where, dataset)
    tables["datasets"].append(dataset_row(name, dataset, where, about.get("twin_of")))
    for cell in (cell for cell in study["cells"] if cell["dataset"] == name):
        for table, frame in read_cell(cell, dataset, where, outcomes, groups):
            keys = {"dataset": name, "model": cell["model"], "seed": cell["seed"]}
            for place, (column, value) in enumerate(keys.items()):
                frame.insert(place, column, value)
            tables[table].append(frame)
        progress.update()
    tables["long_tail"].append(long_tail_table(outcomes, bins))
    tables["undertraining"].append(undertraining_table(outcomes))
    tables["significance"].append(significance_table(outcomes, resamples))
    return outcomes


def read_cell(
    cell: dict, dataset: Dataset, where: pd.DataFrame, outcomes: Outcomes, groups: "Groups"
) -> Iterator[tuple[str, pd.DataFrame]]:
    """(table, rows) of one run; a run without a history, top lists or alpha grid leaves those out."""
    folder = Path(cell["path"])
    ranks = read_ranks(folder / "ranks.parquet", dataset, where)
    outcomes.add(cell["model"], cell["seed"], ranks)
    yield "metrics", metrics_rows(ranks, groups)
    facts = (
        json.loads((folder / "metrics.json").read_text("utf-8"))
        if (folder / "metrics.json").is_file()
        else {}
    )
    yield "cost", pd.DataFrame({"seconds": [float(facts.get("seconds", "nan"))]})
    if (folder / "top.parquet").is_file():
        yield (
            "coverage",
            pd.DataFrame([coverage(recommended(folder / "top.parquet", dataset), dataset.train_count)]),
        )
    if (folder / "alpha.parquet").is_file():
        alpha = read_parquet(folder / "alpha.parquet", "")
        if len(alpha):
            yield "alpha", alpha_rows(alpha, facts)
    if (folder / "history.parquet").is_file():
        history = read_parquet(folder / "history.parquet", "")
        if len(history):
            outcomes.add_updates(cell["model"], history)
            numbers = {
                column: pd.to_numeric(history[column]).astype(float)
                for column in HISTORY_NUMBERS
                if column in history
            }
            yield "history", history.assign(**numbers)
