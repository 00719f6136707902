"""Popularity bins, gains per bin and the spread of recommendations equal literal computations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alterrec.analysis.long_tail import coverage, equal_mass_bins, long_tail_table
from alterrec.analysis.summary import with_columns
from alterrec.inference.outcomes import Outcomes
from alterrec.inference.statistics import compare
from alterrec.ranking.instances import instance_table
from alterrec.ranking.metrics import K
from tests.unit.planted_runs import MODELS, planted_dataset, planted_ranks


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.integers(1, 6))
def test_bins_never_split_a_frequency_and_cover_all_targets(counts, wanted):
    counts = np.array(counts)
    bins = equal_mass_bins(counts, wanted)
    bin_of = bins.of(counts)
    assert ((bin_of == 0) == (counts == 0)).all()
    warm = counts > 0
    assert len(bins) <= max(wanted, 1)
    if warm.any():
        assert set(bin_of[warm]) == set(range(1, len(bins) + 1))
        order = np.argsort(counts[warm], kind="stable")
        assert (np.diff(bin_of[warm][order]) >= 0).all()
        for b in range(1, len(bins) + 1):
            inside = counts[bin_of == b]
            assert bins.range(b) == (inside.min(), inside.max())


def test_bins_hold_equally_many_targets_if_the_frequencies_allow_it():
    counts = np.repeat(np.arange(1, 1001), 3)
    mass = np.bincount(equal_mass_bins(counts, 5).of(counts))[1:]
    assert len(mass) == 5
    assert np.all(np.abs(mass - 600) <= 3)


def test_a_frequency_with_most_of_the_targets_gets_a_bin_of_its_own():
    counts = np.array([1] * 5 + [2] * 90 + [7] * 5)
    bins = equal_mass_bins(counts, 5)
    assert bins.of(np.array([0, 1, 2, 3, 7, 900])).tolist() == [0, 1, 2, 3, 3, 3]
    assert [bins.label(b) for b in range(4)] == ["cold", "1", "2", "7"]


def test_a_label_names_the_range_of_a_bin():
    assert equal_mass_bins(np.array([1, 2, 3, 4]), 2).label(2) == "3-4"


@pytest.fixture
def outcomes():
    dataset = planted_dataset(sessions=400)
    instances = instance_table(dataset)
    targets = instances.loc[instances["split"] == "test", "target"]
    bins = equal_mass_bins(dataset.train_count[targets])
    models = {m: MODELS[m] for m in MODELS if m != "random"}
    models["fusion_sum_dropout"] = MODELS["fusion_sum"] | {"variant_of": "fusion_sum"}
    outcomes = Outcomes("d", instances, bins.of(dataset.train_count), models)
    random = np.random.default_rng(0)
    runs = {}
    rates = {"id_only": 0.1, "fusion_sum": 0.3, "fusion_concat": 0.2, "alterrec": 0.4}
    for model, rate in (rates | {"fusion_sum_dropout": 0.35}).items():
        for seed in (1, 2):
            runs[model, seed] = planted_ranks(instances, dataset.catalogue_size, rate, random)
            outcomes.add(model, seed, runs[model, seed])
    return dataset, instances, bins, outcomes, runs


def test_the_table_equals_a_loop_over_instances(outcomes):
    dataset, instances, bins, planted, runs = outcomes
    table = long_tail_table(planted, bins)
    assert set(table["best_fusion"]) == {"fusion_sum"}, "a variant is no naive fusion"
    row = table[(table.model == "alterrec") & (table.bin == 2) & (table.metric == "Hits")].iloc[0]
    low, high = bins.range(2)
    values = []
    for seed in (1, 2):
        for instance, above in zip(instances.itertuples(), runs["alterrec", seed]["above"], strict=True):
            if instance.split == "test" and low <= dataset.train_count[instance.target] <= high:
                values.append(above < K)
    assert row.value == pytest.approx(np.mean(values))
    assert row.instances == len(values) / 2
    assert row.low < row.value < row.high
    base = table[(table.model == "id_only") & (table.bin == 2) & (table.metric == "Hits")].iloc[0].value
    assert row.gain_over_id_only == pytest.approx(row.value / base - 1)
    assert row.difference == pytest.approx(row.value - base)
    assert row.difference_low < row.difference < row.difference_high


def test_the_interval_of_a_difference_is_that_of_the_paired_comparison(outcomes):
    *_, bins, planted, _ = outcomes
    table = long_tail_table(planted, bins).query("model == 'fusion_sum' and metric == 'NDCG'")
    for row in table.itertuples():
        pair = [planted.sums(model, metric="NDCG", bin=row.bin) for model in ("fusion_sum", "id_only")]
        assert (row.difference_low, row.difference_high) == compare(*pair).method.interval()


def test_the_bins_add_up_to_all_instances(outcomes):
    *_, bins, planted, _ = outcomes
    table = long_tail_table(planted, bins)
    for model in ("id_only", "alterrec"):
        rows = table[(table.model == model) & (table.metric == "NDCG")]
        whole = planted.sums(model, metric="NDCG")
        assert (rows.value * rows.instances).sum() == pytest.approx(whole.mean * whole.counts.sum())


def test_a_gain_over_a_model_that_did_not_run_is_nan(outcomes):
    *_, bins, planted, _ = outcomes
    del planted.values["id_only", "model"]
    table = with_columns("long_tail", long_tail_table(planted, bins))
    assert (
        table[["gain_over_id_only", "difference", "difference_low", "difference_high"]].isna().all(axis=None)
    )


def literal_gini(counts: np.ndarray) -> float:
    return np.abs(counts[:, None] - counts[None, :]).sum() / (2 * len(counts) * counts.sum())


def test_coverage_gini_and_popularity():
    train_count = np.array([0, 5, 1, 3, 10])
    found = coverage(np.array([1, 1, 1, 4, 2, 4]), train_count)
    assert found["coverage"] == 3 / 5
    assert found["mean_popularity"] == pytest.approx((3 * 5 + 2 * 10 + 1) / 6)
    assert found["gini"] == pytest.approx(literal_gini(np.array([0, 3, 1, 0, 2])))
    assert coverage(np.array([0, 1, 2, 3, 4]), train_count)["gini"] == pytest.approx(0)
    assert coverage(np.array([1, 1]), train_count)["gini"] == pytest.approx(1 - 1 / 5)
