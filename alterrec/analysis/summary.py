"""From the runs of a study to its summary folder, which holds everything that a table, figure or claim prints.

Runs are read one at a time. Of each run only its metrics, its history and the Hits@20 and NDCG@20 of its test instances
are kept in memory, and the latter only until its dataset and the dataset's twins are finished.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from alterrec.analysis.imbalance import imbalance_table, undertraining_table
from alterrec.analysis.long_tail import equal_mass_bins, long_tail_table
from alterrec.analysis.permuted_texts import permuted_table
from alterrec.analysis.summary_schema import COLUMNS, VERSION
from alterrec.analysis.summary_tables import (
    Groups,
    alpha_rows,
    coverage_rows,
    dataset_row,
    metrics_rows,
)
from alterrec.data.dataset import Dataset
from alterrec.errors import UserError
from alterrec.files import clear_partial, read_json, write_json, write_parquet
from alterrec.inference.budgets import budgets_table, run_budgets
from alterrec.inference.claims import claims_table, findings
from alterrec.inference.outcomes import Outcomes
from alterrec.inference.significance import significance_table
from alterrec.inference.statistics import LEVEL, RESAMPLES
from alterrec.ranking.instances import instance_table
from alterrec.ranking.metrics import K
from alterrec.ranking.rank_file import read_parquet, read_ranks
from alterrec.study.provenance import CHECKED, environments, refuse_damaged
from alterrec.study.tuning import read_record

HISTORY_NUMBERS = COLUMNS["history"][COLUMNS["history"].index("learning_rate") :]
RANDOM_ORDER = "the order within a basket is random, so effects of order cannot appear"
DEMO = "demo data: they show that the suite works and are never evidence"
PERMUTED_TEXTS = "the texts of this dataset are permuted among its items"


def summarise(study: dict, out: Path, resamples: int = RESAMPLES) -> None:
    """Write every file of the summary folder `out`.

    `study` is what `alterrec.study.summary_input` returns. `resamples` is the number of bootstrap and permutation
    samples. UserError names the first run that is missing or whose ranks do not fit the dataset.
    """
    clear_partial(Path(out))
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in COLUMNS}
    tables["tuning"].append(read_record(study.get("tuning")))
    progress = tqdm(total=len(study["cells"]), desc="summary", unit="run", disable=None)
    for name, twin_names in with_twins(study["datasets"]):
        real, notes = summarise_dataset(study, name, tables, progress, resamples)
        twins = [summarise_dataset(study, twin, tables, progress, resamples)[0] for twin in twin_names]
        tables["claims"].append(findings(real, twins[0] if twins else None, notes))
        tables["permuted"] += [permuted_table(real, twin) for twin in twins]
    progress.close()
    uncorrected = tables.pop("claims")
    frames = {name: concatenated(parts) for name, parts in tables.items()}
    frames["claims"] = claims_table(uncorrected) if uncorrected else pd.DataFrame()
    frames["history"] = with_columns("history", frames["history"])
    frames["imbalance"] = imbalance_table(frames["history"], study["models"])
    for name, frame in frames.items():
        write_parquet(Path(out) / f"{name}.parquet", with_columns(name, frame))
    made_with = environments(Path(cell["path"]) for cell in study["cells"])
    facts = {"version": VERSION, "k": K, "level": LEVEL, "environments": made_with}
    write_json(Path(out) / "study.json", without_paths(study) | facts)


def with_twins(datasets: dict[str, dict]) -> Iterator[tuple[str, list[str]]]:
    """Yield every dataset with the names of its twins. A twin is not yielded as a dataset of its own.

    A permuted dataset whose original is not in the study has no `twin_of` and is a dataset like any other. If a dataset
    has several twins, the claims use the first.
    """
    for name, about in datasets.items():
        if not about.get("twin_of"):
            yield name, [twin for twin, other in datasets.items() if other.get("twin_of") == name]


def claim_notes(card: dict) -> list[str]:
    """Reservations about a dataset, which are added to the note of each of its claims."""
    conditions = {
        RANDOM_ORDER: not card.get("order_known", True),
        DEMO: bool(card.get("demo")),
        PERMUTED_TEXTS: card.get("config", {}).get("text_control") == "permuted",
    }
    return [note for note, holds in conditions.items() if holds]


def summarise_dataset(
    study: dict, name: str, tables: dict[str, list], progress: tqdm, resamples: int
) -> tuple[Outcomes, list[str]]:
    """Add the tables of one dataset's runs to `tables`; return the outcomes of its runs and the notes of its claims."""
    about = study["datasets"][name]
    dataset = Dataset.load(Path(about["path"]))
    instances = instance_table(dataset)
    targets = instances.loc[instances["split"] == "test", "target"].to_numpy()
    if not len(targets):
        raise UserError(
            f"{about['path']}: the dataset has no test instance: prepare it again with test sessions"
        )
    bins = equal_mass_bins(dataset.train_count[targets])
    outcomes = Outcomes(name, instances, bins.of(dataset.train_count), study["models"])
    groups = Groups(instances, dataset)
    tables["datasets"].append(dataset_row(name, dataset, about.get("twin_of")))
    for cell in (cell for cell in study["cells"] if cell["dataset"] == name):
        for table, frame in read_cell(cell, dataset, instances, outcomes, groups):
            keys = {"dataset": name, "model": cell["model"], "seed": cell["seed"]}
            for place, (column, value) in enumerate(keys.items()):
                frame.insert(place, column, value)
            tables[table].append(frame)
        progress.update()
    tables["long_tail"].append(long_tail_table(outcomes, bins))
    tables["undertraining"].append(undertraining_table(outcomes))
    tables["significance"].append(significance_table(outcomes, resamples))
    tables["budgets"].append(budgets_table(outcomes))
    return outcomes, claim_notes(dataset.card)


def read_cell(
    cell: dict, dataset: Dataset, instances: pd.DataFrame, outcomes: Outcomes, groups: Groups
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield (table, rows) of one run and add it to `outcomes`.

    Only ranks.parquet is needed. A run without a history, top lists or alpha grid has no rows in those tables.
    """
    folder = Path(cell["path"])
    refuse_damaged(folder, *CHECKED)
    ranks = read_ranks(folder / "ranks.parquet", dataset, instances)
    outcomes.add(cell["model"], cell["seed"], ranks)
    yield "metrics", metrics_rows(ranks, groups)
    facts = read_json(folder / "metrics.json") if (folder / "metrics.json").is_file() else {}
    yield "cost", pd.DataFrame({"seconds": [float(facts.get("seconds", "nan"))]})
    if (rows := coverage_rows(folder, dataset)) is not None:
        yield "coverage", rows
    if (rows := alpha_rows(folder, facts)) is not None:
        yield "alpha", rows
    if (folder / "history.parquet").is_file():
        history = read_parquet(folder / "history.parquet")
        if len(history):
            kept_epochs = facts.get("kept_epochs", {})
            outcomes.budgets[cell["model"], cell["seed"]] = run_budgets(history, kept_epochs)
            yield "history", with_float_columns(history)


def with_float_columns(history: pd.DataFrame) -> pd.DataFrame:
    """The history with all of its measurements as floats, so that the histories of all models can be concatenated."""
    present = [column for column in HISTORY_NUMBERS if column in history]
    return history.assign(**{column: pd.to_numeric(history[column]).astype(float) for column in present})


def concatenated(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def with_columns(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The table with all of its columns; a column that no run has is empty."""
    return frame.reindex(columns=[*COLUMNS[name]])


def without_paths(study: dict) -> dict:
    """The study without folders of this machine, as it is written into study.json."""
    cells = [{key: value for key, value in cell.items() if key != "path"} for cell in study["cells"]]
    datasets = {
        name: {key: value for key, value in about.items() if key != "path"}
        for name, about in study["datasets"].items()
    }
    kept = {key: value for key, value in study.items() if key != "tuning"}
    return kept | {"cells": cells, "datasets": datasets}
