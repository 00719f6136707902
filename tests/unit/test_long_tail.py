"""Popularity bins, gains per bin and the spread of recommendations, against literal versions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alterrec.analysis.long_tail import coverage, equal_mass_bins, long_tail_table
from alterrec.analysis.outcomes import Outcomes
from alterrec.ranking.rank_file import instances
from tests.unit.planted_runs import MODELS, planted_dataset, planted_ranks


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.integers(1, 6))
def test_bins_never_split_a_frequency_and_cover_all_targets(counts, wanted):
    counts = np.array(counts)
    bins = equal_mass_bins(counts, wanted)
    place = bins.of(counts)
    assert ((place == 0) == (counts == 0)).all()
    warm = counts > 0
    assert len(bins) <= max(wanted, 1)
    if warm.any():
        assert set(place[warm]) == set(range(1, len(bins) + 1))
        order = np.argsort(counts[warm], kind="stable")
        assert (np.diff(place[warm][order]) >= 0).all()
        for b in range(1, len(bins) + 1):
            inside = counts[place == b]
            assert bins.range(b) == (inside.min(), inside.max())


def test_bins_have_equal_mass_where_frequencies_allow():
    counts = np.repeat(np.arange(1, 1001), 3)
    mass = np.bincount(equal_mass_bins(counts, 5).of(counts))[1:]
    assert len(mass) == 5
    assert np.all(np.abs(mass - 600) <= 3)


def test_one_frequency_with_most_of_the_mass_gets_a_bin_of_its_own():
    counts = np.array([1] * 5 + [2] * 90 + [7] * 5)
    bins = equal_mass_bins(counts, 5)
    assert bins.of(np.array([0, 1, 2, 3, 7, 900])).tolist() == [0, 1, 2, 3, 3, 3]
    assert [bins.label(b) for b in range(4)] == ["cold", "1", "2", "7"]


def test_labels_name_a_range():
    assert equal_mass_bins(np.array([1, 2, 3, 4]), 2).label(2) == "3-4"


@pytest.fixture
def outcomes():
    dataset = planted_dataset(sessions=400)
    where = instances(dataset)
    targets = where.loc[where["split"] == "test", "target"]
    bins = equal_mass_bins(dataset.train_count[targets])
    outcomes = Outcomes(
        "d", where, bins.of(dataset.train_count), {m: MODELS[m] for m in MODELS if m != "random"}
    )
    random = np.random.default_rng(0)
    runs = {}
    for model, rate in {"id_only": 0.1, "fusion_sum": 0.3, "fusion_concat": 0.2, "alterrec": 0.4}.items():
        for seed in (1, 2):
            runs[model, seed] = planted_ranks(where, dataset.catalogue_size, rate, random)
            outcomes.add(model, seed, runs[model, seed])
    return dataset, where, bins, outcomes, runs


def test_the_table_is_a_loop_over_instances(outcomes):
    dataset, where, bins, kept, runs = outcomes
    table = long_tail_table(kept, bins)
    assert set(table["best_fusion"]) == {"fusion_sum"}
    row = table[(table.model == "alterrec") & (table.bin == 2) & (table.metric == "Hits")].iloc[0]
    low, high = bins.range(2)
    values = []
    for seed in (1, 2):
        for instance, above in zip(where.itertuples(), runs["alterrec", seed]["above"], strict=True):
            if instance.split == "test" and low <= dataset.train_count[instance.target] <= high:
                values.append(above < 20)
    assert row.value == pytest.approx(np.mean(values))
    assert row.instances == len(values) / 2
    assert row.low < row.value < row.high
    base = table[(table.model == "id_only") & (table.bin == 2) & (table.metric == "Hits")].iloc[0].value
    assert row.gain_over_id_only == pytest.approx(row.value / base - 1)


def test_the_bins_add_up_to_the_whole(outcomes):
    *_, bins, kept, _ = outcomes
    table = long_tail_table(kept, bins)
    for model in ("id_only", "alterrec"):
        rows = table[(table.model == model) & (table.metric == "NDCG")]
        whole = kept.sums(model, metric="NDCG")
        assert (rows.value * rows.instances).sum() == pytest.approx(whole.mean * whole.counts.sum())


def test_a_gain_over_nothing_is_not_a_number(outcomes):
    *_, bins, kept, _ = outcomes
    del kept.values["id_only", "model"]
    assert long_tail_table(kept, bins)["gain_over_id_only"].isna().all()


def literal_gini(times: np.ndarray) -> float:
    return np.abs(times[:, None] - times[None, :]).sum() / (2 * len(times) * times.sum())


def test_coverage_gini_and_popularity():
    train_count = np.array([0, 5, 1, 3, 10])
    found = coverage(np.array([1, 1, 1, 4, 2, 4]), train_count)
    assert found["coverage"] == 3 / 5
    assert found["mean_popularity"] == pytest.approx((3 * 5 + 2 * 10 + 1) / 6)
    assert found["gini"] == pytest.approx(literal_gini(np.array([0, 3, 1, 0, 2])))
    assert coverage(np.array([0, 1, 2, 3, 4]), train_count)["gini"] == pytest.approx(0)
    assert coverage(np.array([1, 1]), train_count)["gini"] == pytest.approx(1 - 1 / 5)
