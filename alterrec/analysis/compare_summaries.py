"""Whether two summaries of one study are equal, and what differs if they are not. Times are left out."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from alterrec.analysis.summary_schema import COLUMNS
from alterrec.errors import UserError
from alterrec.ranking.rank_file import read_parquet

MEASURED_TIMES = {"cost": "seconds", "history": "seconds"}


def differences(one: Path, other: Path) -> list[str]:
    """One line for each table or column that differs between the summary folders, or that one of them lacks.

    An empty list if all are equal. UserError if a folder has no table of a summary, or one that cannot be read.
    """
    first, second = stored_tables(one), stored_tables(other)
    found = in_one_only("table", first, second)
    for table in first:
        if table in second:
            found += table_differences(table, first[table], second[table])
    return found


def stored_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of a summary folder by name. An older summary may lack some."""
    paths = {table: folder / f"{table}.parquet" for table in COLUMNS}
    found = {table: read_parquet(path) for table, path in paths.items() if path.is_file()}
    if not found:
        raise UserError(f"{folder} has no table of a summary: name the summary folders of two studies")
    return found


def in_one_only(kind: str, first: Collection[str], second: Collection[str], prefix: str = "") -> list[str]:
    """A line for each name that only one of the summaries has."""
    return [
        f"{prefix}{name}: only the {summary} summary has this {kind}"
        for summary, names, others in (("first", first, second), ("other", second, first))
        for name in names
        if name not in others
    ]


def table_differences(table: str, first: pd.DataFrame, second: pd.DataFrame) -> list[str]:
    found = in_one_only("column", first, second, f"{table}.")
    if len(first) != len(second):
        return [*found, f"{table}: {len(first)} rows, the other summary has {len(second)}"]
    for column in first:
        if column in second and column != MEASURED_TIMES.get(table):
            found += column_difference(f"{table}.{column}", first[column], second[column])
    return found


def column_difference(name: str, first: pd.Series, second: pd.Series) -> list[str]:
    """At most one line: how many rows differ and, for numbers, by how much at most."""
    unequal = ~((first == second) | (first.isna() & second.isna())).to_numpy()
    if not unequal.any():
        return []
    line = f"{name}: {unequal.sum()} of {len(first)} rows differ"
    if pd.api.types.is_numeric_dtype(first) and pd.api.types.is_numeric_dtype(second):
        distance = np.abs(first.to_numpy(float) - second.to_numpy(float))[unequal]
        line += f", by at most {np.nanmax(distance):.3g}" if not np.isnan(distance).all() else ""
    return [line]
