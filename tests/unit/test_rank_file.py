"""The check of a file of ranks: what it accepts, and an error for everything that does not fit the dataset."""

import numpy as np
import pandas as pd
import pytest

from alterrec.analysis.summary_tables import Groups, metrics_rows
from alterrec.errors import UserError
from alterrec.ranking.instances import instance_table
from alterrec.ranking.rank_file import OPTIONAL, check_ranks
from tests.unit.planted_runs import planted_dataset, planted_ranks


@pytest.fixture(scope="module")
def valid():
    dataset = planted_dataset(sessions=40)
    instances = instance_table(dataset)
    return (
        dataset,
        instances,
        planted_ranks(instances, dataset.catalogue_size, 0.2, np.random.default_rng(0), {"id": 0.1}),
    )


def test_valid_ranks_are_accepted_in_any_order_of_rows(valid):
    dataset, instances, ranks = valid
    shuffled = ranks.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(check_ranks(shuffled, dataset, "x"), ranks, check_dtype=False)
    pd.testing.assert_frame_equal(check_ranks(ranks, dataset, "x", instances), ranks)


def test_the_instances_are_all_prefixes_of_validation_and_test_sessions(valid):
    dataset, instances, _ = valid
    literal = []
    for split in ("validation", "test"):
        for session in np.flatnonzero(dataset.split == split):
            items = dataset.flat[dataset.offsets[session] : dataset.offsets[session + 1]].tolist()
            for n in range(1, len(items)):
                literal.append((split, session, n, items[n], n == len(items) - 1, items[n] in items[:n]))
    assert list(instances.itertuples(index=False, name=None)) == literal


def changed(column: str, value) -> callable:
    def change(ranks: pd.DataFrame) -> pd.DataFrame:
        return ranks.assign(**{column: ranks[column].where(ranks.index != 3, value)})

    return change


BROKEN = {
    "no column": (lambda r: r.drop(columns="ties"), "column 'ties' is missing"),
    "misspelt": (lambda r: r.rename(columns={"above_unseen": "above_unsen"}), "did you mean 'above_unsen'"),
    "half a pair": (lambda r: r.drop(columns="id_ties"), "column 'id_ties' is missing"),
    "floats": (lambda r: r.astype({"above": float}), "column 'above' is float64, it must be int32"),
    "gaps": (
        lambda r: r.astype({"above": "Int32"}).assign(above=lambda f: f.above.where(f.index > 0)),
        "'above' is Int32",
    ),
    "last as a number": (lambda r: r.astype({"last": int}), "column 'last' is int64, it must be bool"),
    "split as a number": (lambda r: r.assign(split=1), "column 'split' is int64, it must be text"),
    "a row less": (lambda r: r.iloc[1:], "is missing (1 such"),
    "a row twice": (lambda r: pd.concat([r, r.iloc[:1]]), "occurs more than once (1 such"),
    "an unknown instance": (
        changed("session", 0),
        "session 0, position 4 is not a validation or test instance",
    ),
    "a train session": (lambda r: r.assign(session=r.session - 1), "is not a validation or test instance"),
    "the other split": (
        changed("split", "test"),
        "split of session 2, position 4 is test, the dataset says validation",
    ),
    "another target": (changed("target", -5), "target of session 2, position 4 is -5, the dataset says"),
    "another last": (lambda r: r.assign(last=~r["last"]), "last of session 2, position 1 is"),
    "negative": (changed("ties", -1), "ties is negative: session 2, position 4"),
    "beyond the catalogue": (changed("above", 400), "above + ties exceeds the 399 other items"),
    "a part beyond": (changed("id_ties", 400), "id_above + id_ties exceeds the 399 other items"),
    "more unseen than all": (
        lambda r: r.assign(above_unseen=400),
        "above_unseen or ties_unseen exceeds the count",
    ),
    "a seen target ranked": (lambda r: r.assign(above_unseen=0), "where the prefix holds the target"),
    "negative unseen": (changed("ties_unseen", -1), "above_unseen or ties_unseen is negative"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_ranks_are_refused_with_an_error_that_names_the_file_and_the_fault(valid, fault):
    dataset, _, ranks = valid
    change, message = BROKEN[fault]
    with pytest.raises(UserError) as error:
        check_ranks(change(ranks), dataset, "runs/d/m/seed-1/ranks.parquet")
    assert str(error.value).startswith("runs/d/m/seed-1/ranks.parquet: ")
    assert message in str(error.value)


def test_ranks_among_unseen_items_and_of_parts_are_optional(valid):
    dataset, instances, ranks = valid
    few = ranks.drop(columns=[column for pair in OPTIONAL for column in pair if column in ranks])
    checked = check_ranks(few, dataset, "ranks.parquet")
    table = metrics_rows(checked, Groups(instances, dataset))
    assert set(table["catalogue"]) == {"full"} and set(table["part"]) == {"model"}
