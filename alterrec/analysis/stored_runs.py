"""The outcomes of a study's runs in a few files, from which its tests and tables are made again without training.

A dataset has one file with the ranks of all of its runs, cut behind the last cut-off of the metrics. So every metric, test
and claim is the same. Of top lists and of the grid of alpha only their rows of the tables coverage and alpha are kept;
weights are not kept.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pandas as pd

from alterrec.analysis.summary_tables import alpha_rows, coverage_rows
from alterrec.data.dataset import Dataset
from alterrec.errors import UserError
from alterrec.files import atomic, file_checksum, read_json, write_json, write_parquet
from alterrec.ranking.instances import instance_table
from alterrec.ranking.metrics import CUTOFFS
from alterrec.ranking.rank_file import OPTIONAL, UNSEEN, read_parquet, read_ranks
from alterrec.study.provenance import COMPLETE, SUMMARY_ROWS, inputs, is_finished
from alterrec.study.resolve import Study
from alterrec.study.run_paths import DATA, NAME, RUN, Cell, of_cell

logger = logging.getLogger(__name__)
CUT = max(CUTOFFS)
"""A target below so many items counts in no metric."""
PAIRS = (("above", "ties"), *OPTIONAL)
FACTS, RANKS = "runs.json", "ranks/{dataset}.parquet"
TABLES = {"history": "history.parquet"} | SUMMARY_ROWS
"""Each table is one file here, with the rows of all runs; a restored run has its own rows in a file of the same name."""
IDENTITY = ["dataset", "model", "seed"]


def store(study: Study, folder: Path, out: Path) -> int:
    """Write the outcomes of the finished runs of the study in `folder` into `out`; return their number.

    A run of another program, or of other settings or data than today's, is left out.
    """
    cells = [cell for cell in study.cells() if finished(study, folder, cell)]
    if not cells:
        raise UserError(f"{folder} has no finished run of the study {study.config.name}: nothing to store")
    tables = {name: [] for name in TABLES}
    for name in dict.fromkeys(cell[0] for cell in cells):
        dataset = Dataset.load(folder / DATA.format(dataset=name))
        instances = instance_table(dataset)
        columns = {}
        for cell in (cell for cell in cells if cell[0] == name):
            run = folder / of_cell(RUN, cell)
            ranks = read_ranks(run / COMPLETE, dataset, instances)
            columns |= {f"{of_cell(NAME, cell)}/{column}": values for column, values in cut(ranks)}
            for table, rows in tables_of(run, dataset):
                tables[table].append(rows.assign(**dict(zip(IDENTITY, cell, strict=True))))
        write_parquet(out / RANKS.format(dataset=name), pd.DataFrame(columns))
    for table, rows in tables.items():
        write_parquet(out / TABLES[table], pd.concat(rows or [pd.DataFrame()]))
    write_json(out / FACTS, {of_cell(NAME, cell): facts_of(folder, cell) for cell in cells})
    return len(cells)


def cut(ranks: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """The columns of counts: at most CUT items above a target, and then no ties."""
    for above, ties in PAIRS:
        if above in ranks:
            yield above, ranks[above].clip(upper=CUT).astype("uint8")
            yield ties, ranks[ties].where(ranks[above] < CUT, 0).astype("int32")


def tables_of(run: Path, dataset: Dataset) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of a run in those of TABLES that it has."""
    found = {
        "history": read_parquet(run / "history.parquet") if (run / "history.parquet").is_file() else None,
        "coverage": coverage_rows(run, dataset),
        "alpha": alpha_rows(run, read_json(run / "metrics.json")),
    }
    yield from ((name, rows) for name, rows in found.items() if rows is not None and len(rows))


def facts_of(folder: Path, cell: Cell) -> dict:
    run = folder / of_cell(RUN, cell)
    made_from = read_json(run / "provenance.json")
    made_from.pop("written", None)
    return {
        "spec": spec_checksum(read_json(run / "spec.json")),
        "metrics": read_json(run / "metrics.json"),
        "made": made_from,
    }


def spec_checksum(spec: dict) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


def finished(study: Study, folder: Path, cell: Cell) -> bool:
    run = folder / of_cell(RUN, cell)
    stated = (run / "provenance.json").is_file()
    return stated and is_finished(study.spec(*cell), folder / of_cell(DATA, cell), run)


def restore_runs(study: Study, stored: Path, folder: Path) -> int:
    """Make the folders of stored runs again, in the study's `folder`, whose data must be prepared; return their number.

    A run that is finished there is left as it is. UserError, before anything is written, if a run was made from other
    settings or other data. Text vectors may be others, since another machine computes other last digits: a warning says so.
    """
    if not (stored / FACTS).is_file():
        raise UserError(f"{stored / FACTS} is missing: name a folder that `alterrec store` has written")
    facts = read_json(stored / FACTS)
    cells = [cell for cell in study.cells() if of_cell(NAME, cell) in facts]
    cells = [cell for cell in cells if not finished(study, folder, cell)]
    for cell in cells:
        check(study, folder, cell, facts[of_cell(NAME, cell)], stored)
    of_runs = {table: rows_by_run(stored / file) for table, file in TABLES.items()}
    for name in dict.fromkeys(cell[0] for cell in cells):
        dataset = Dataset.load(folder / DATA.format(dataset=name))
        instances, ranks = instance_table(dataset), read_parquet(stored / RANKS.format(dataset=name))
        # a run's provenance names the ranks of the runs that it requires, so these come first
        own = sorted((cell for cell in cells if cell[0] == name), key=lambda cell: depth(study, cell[1]))
        for cell in own:
            frame = ranks_of(ranks, cell, instances, dataset.catalogue_size)
            own_tables = {table: rows[cell] for table, rows in of_runs.items() if cell in rows}
            write_run(study, folder, cell, frame, own_tables, facts[of_cell(NAME, cell)])
    if changed := sum(not finished(study, folder, cell) for cell in cells):
        logger.warning(
            "the text vectors of %d runs are not those of this machine: tests and tables need no other, but `alterrec cells` "
            "would train these runs again",
            changed,
        )
    return len(cells)


def rows_by_run(path: Path) -> dict[tuple, pd.DataFrame]:
    rows = read_parquet(path, "store the runs again")
    return dict(list(rows.groupby(IDENTITY))) if len(rows) else {}


def depth(study: Study, model: str) -> int:
    """How many runs are required one after another before one of this model."""
    return max((1 + depth(study, name) for name in study.model(model).requires), default=0)


def check(study: Study, folder: Path, cell: Cell, facts: dict, stored: Path) -> None:
    data = folder / of_cell(DATA, cell)
    if not (data / "card.json").is_file():
        raise UserError(
            f"{data} is missing: prepare the data first, with `alterrec cells --config CONFIG --minutes 0`"
        )
    spec = study.spec(*cell)
    if spec_checksum(spec) != facts["spec"]:
        raise UserError(
            f"{stored}: {of_cell(NAME, cell)} was run with other settings than those of this config"
        )
    if inputs(spec, data, folder / of_cell(RUN, cell))["data"] != facts["made"]["data"]:
        raise UserError(f"{stored}: {of_cell(NAME, cell)} was run on other data than those in {data}")


def ranks_of(ranks: pd.DataFrame, cell: Cell, instances: pd.DataFrame, items: int) -> pd.DataFrame:
    """ranks.parquet of one run, from the file of its dataset."""
    columns = [column for column in chain(*PAIRS) if f"{of_cell(NAME, cell)}/{column}" in ranks]
    own = {column: ranks[f"{of_cell(NAME, cell)}/{column}"].astype("int32") for column in columns}
    if UNSEEN[0] in own:
        # as in every ranks.parquet: behind all items where the prefix holds the target, elsewhere no more ties than over all
        own[UNSEEN[0]] = own[UNSEEN[0]].mask(instances["seen"], items)
        own["ties"] = own["ties"].clip(lower=own[UNSEEN[1]].mask(instances["seen"], 0))
    return instances.drop(columns="seen").assign(**own)


def write_run(
    study: Study,
    folder: Path,
    cell: Cell,
    ranks: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    facts: dict,
) -> None:
    run, spec = folder / of_cell(RUN, cell), study.spec(*cell)
    if run.exists():
        shutil.rmtree(run)
    run.mkdir(parents=True)
    write_json(run / "spec.json", spec)
    write_json(run / "metrics.json", facts["metrics"])
    for name, rows in tables.items():
        write_parquet(run / TABLES[name], rows.drop(columns=IDENTITY).dropna(axis=1, how="all"))
    written = {path.name: file_checksum(path) for path in run.iterdir()}
    required = inputs(spec, folder / of_cell(DATA, cell), run)["requires"]
    with atomic(run / COMPLETE) as temporary:  # the file that says that a run is complete comes last
        write_parquet(temporary, ranks)
        written[COMPLETE] = file_checksum(temporary)
        write_json(
            run / "provenance.json", facts["made"] | {"requires": required, "written": written, "cut": CUT}
        )
