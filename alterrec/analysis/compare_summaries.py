"""Whether two summaries of one study are equal, and what differs if they are not. Times are left out."""

from pathlib import Path

import numpy as np
import pandas as pd

from alterrec.analysis.summary_schema import COLUMNS
from alterrec.errors import UserError

MEASURED_TIMES = {"cost": "seconds", "history": "seconds"}


def differences(one: Path, other: Path) -> list[str]:
    """One line for each column of a table that differs between the summary folders; an empty list if all are equal."""
    found = []
    for table in COLUMNS:
        first, second = (read(folder / f"{table}.parquet") for folder in (one, other))
        if len(first) != len(second):
            found.append(f"{table}: {len(first)} rows, the other summary has {len(second)}")
            continue
        for column in [name for name in COLUMNS[table] if name != MEASURED_TIMES.get(table)]:
            found += column_difference(f"{table}.{column}", first[column], second[column])
    return found


def read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"{path} is missing: name the summary folders of two studies")
    return pd.read_parquet(path)


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
