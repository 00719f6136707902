"""Comparing two summaries: equal ones, measured times, and what is said of a difference."""

import pandas as pd
import pytest

from alterrec.analysis.compare_summaries import differences
from alterrec.errors import UserError
from tests.unit.synthetic_summary import write


@pytest.fixture
def two(tmp_path):
    return write(tmp_path / "one"), write(tmp_path / "other")


def change(folder, table: str, column: str, value) -> None:
    frame = pd.read_parquet(folder / f"{table}.parquet")
    frame.loc[0, column] = value
    frame.to_parquet(folder / f"{table}.parquet")


def test_equal_summaries_have_no_difference_whatever_they_took(two):
    change(two[1], "cost", "seconds", 1.0)
    change(two[1], "history", "seconds", 1.0)
    assert differences(*two) == []


def test_a_difference_is_named_with_its_size(two):
    before = pd.read_parquet(two[1] / "metrics.parquet").loc[0, "value"]
    change(two[1], "metrics", "value", before + 0.25)
    change(two[1], "claims", "verdict", "another")
    rows = len(pd.read_parquet(two[0] / "metrics.parquet"))
    assert differences(*two)[0] == f"metrics.value: 1 of {rows} rows differ, by at most 0.25"
    assert differences(*two)[1].startswith("claims.verdict: 1 of ")


def test_a_table_of_another_length_and_a_missing_folder(two, tmp_path):
    frame = pd.read_parquet(two[1] / "alpha.parquet")
    frame.iloc[1:].to_parquet(two[1] / "alpha.parquet")
    assert differences(*two) == [f"alpha: {len(frame)} rows, the other summary has {len(frame) - 1}"]
    with pytest.raises(UserError, match="nowhere has no table of a summary: name the summary folders"):
        differences(two[0], tmp_path / "nowhere")


def test_what_only_one_summary_has_is_named_and_the_rest_is_compared(two):
    older, newer = two
    (older / "budgets.parquet").unlink()
    bins = pd.read_parquet(older / "long_tail.parquet")
    bins.drop(columns="difference").to_parquet(older / "long_tail.parquet")
    change(older, "metrics", "value", 0.5)
    change(older, "long_tail", "value", 0.5)
    lines = [
        "budgets: only the other summary has this table",
        "metrics.value: 1 of ",
        "long_tail.difference: only the other summary has this column",
        "long_tail.value: 1 of ",
    ]
    for line, expected in zip(differences(older, newer), lines, strict=True):
        assert line.startswith(expected)
    assert differences(newer, older)[0] == "budgets: only the first summary has this table"
    assert "long_tail.difference: only the first summary has this column" in differences(newer, older)


def test_a_broken_table_is_named(two):
    (two[1] / "claims.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"claims\.parquet is not a readable parquet file"):
        differences(*two)
