"""The tests of significance equal literal computations, keep their error rates and work without variance."""

import warnings

import numpy as np
import pytest
from scipy import stats

from alterrec.inference.statistics import (
    LEVEL,
    Estimate,
    SessionSums,
    adjust_p,
    bootstrap_interval,
    bootstrap_sums,
    compare,
    contrast,
    seed_weights,
    session_weights,
    sign_flip_p,
    wilcoxon_p,
    wins_ties_losses,
)
from tests.unit.planted_runs import two_models

REPLICATES = 2000


def rejections(**planted) -> tuple[float, float]:
    """Shares of the replicates in which p is below LEVEL for question (i) and for question (ii)."""
    random = np.random.default_rng(20)
    rejected = []
    for _ in range(REPLICATES):
        tested = compare(*two_models(random, **planted))
        rejected.append((tested.trained.p < LEVEL, tested.method.p < LEVEL))
    return tuple(np.mean(rejected, axis=0))


def test_without_seed_variance_question_i_keeps_its_level_and_ii_does_not_exceed_it():
    trained, method = rejections(seed_sd=0.0)
    assert 0.03 <= trained <= 0.07
    assert 0.01 <= method <= 0.07


def test_seed_variance_raises_the_false_alarms_of_question_i_but_not_of_ii():
    trained, method = rejections(seed_sd=0.005)
    assert trained > 0.09
    assert method <= 0.07


def test_a_difference_of_two_and_a_half_points_is_found():
    _, method = rejections(seed_sd=0.005, difference=0.025)
    assert method >= 0.8


def test_models_that_share_networks_keep_the_level():
    random, rejected = np.random.default_rng(3), []
    for _ in range(REPLICATES):
        a, b = (with_networks(one, "id_only") for one in two_models(random, sessions=300, seed_sd=0.005))
        rejected.append(compare(a, b).method.p < LEVEL)
    assert np.mean(rejected) <= 0.07


def with_networks(one: SessionSums, *networks: str) -> SessionSums:
    return SessionSums(one.sums, one.counts, one.seeds, frozenset(networks), one.deterministic, one.name)


def test_question_i_is_the_paired_t_test_if_every_session_has_one_instance():
    random = np.random.default_rng(0)
    a, b = (
        SessionSums(random.random((50, 4)), np.ones(50), (1, 2, 3, 4), frozenset([m]), name=m) for m in "ab"
    )
    tested, known = compare(a, b).trained, stats.ttest_rel(a.sums.mean(1), b.sums.mean(1))
    assert tested.p == pytest.approx(known.pvalue)
    assert tested.df == 49
    assert tested.interval() == pytest.approx(tuple(known.confidence_interval()))


def literal_method(a: SessionSums, b: SessionSums, shared: bool) -> tuple[float, float, float]:
    """Difference, variance and degrees of freedom of question (ii), in loops over sessions and seeds."""
    total, sessions = sum(a.counts), len(a.counts)
    groups = [[(1, a), (-1, b)]] if shared else [[(1, a)], [(-1, b)]]
    difference, per_session, v_seed, v_inter, df_denominator = 0.0, [0.0] * sessions, 0.0, 0.0, 0.0
    for group in groups:
        seeds = len(group[0][1].seeds)
        means = [sum(w * sum(one.sums[:, k]) / total for w, one in group) for k in range(seeds)]
        difference += sum(means) / seeds
        variance = np.var(means, ddof=1) / seeds
        v_seed, df_denominator = v_seed + variance, df_denominator + variance**2 / (seeds - 1)
        for s in range(sessions):
            errors = []
            for k in range(seeds):
                x, mean = sum(w * one.sums[s, k] for w, one in group), means[k]
                errors.append((x - mean * a.counts[s]) / total)
            per_session[s] += sum(errors) / seeds
            v_inter += np.var(errors, ddof=1) / seeds * sessions / (sessions - 1)
    v_session = sum(e * e for e in per_session) * sessions / (sessions - 1)
    variance = v_session + max(0, v_seed - v_inter)
    df = variance**2 / (df_denominator + v_session**2 / (sessions - 1))
    return difference, variance, max(df, min(len(a.seeds), len(b.seeds)) - 1)


@pytest.mark.parametrize("shared", [False, True])
def test_question_ii_equals_its_formula(shared):
    a, b = two_models(np.random.default_rng(5), sessions=40, seed_sd=0.1, difference=0.1)
    if shared:
        a, b = with_networks(a, "id", "text"), with_networks(b, "id")
    tested = compare(a, b).method
    assert (tested.value, tested.se**2, tested.df) == pytest.approx(literal_method(a, b, shared))


def test_the_degrees_of_freedom_are_at_least_those_of_the_fewest_seeds():
    a, _ = two_models(np.random.default_rng(5), sessions=40, seed_sd=0.2)
    reordered = SessionSums(
        a.sums[:, ::-1], a.counts, a.seeds, frozenset("b")
    )  # averaged over seeds, b equals a
    tested = compare(a, reordered).method
    v_seed = 2 * a.seed_means.var(ddof=1) / 3
    assert tested.se**4 / (v_seed**2 / 4) < 1  # the formula alone
    assert tested.df == 2
    assert tested.se > 0 and tested.interval()[1] == pytest.approx(stats.t.ppf(0.975, 2) * tested.se)


def test_the_difference_is_the_mean_over_instances_not_over_sessions():
    sums_a, sums_b, counts = np.array([[1.0], [3.0]]), np.array([[1.0], [0.0]]), np.array([1, 9])
    a, b = (SessionSums(s, counts, (1,), frozenset([m]), True, m) for s, m in ((sums_a, "a"), (sums_b, "b")))
    assert compare(a, b).method.value == pytest.approx(4 / 10 - 1 / 10)


def test_models_that_share_networks_are_paired_by_their_common_seeds():
    a, b = two_models(np.random.default_rng(6), sessions=30, seeds=4, seed_sd=0.1)
    a = with_networks(a, "id")
    shuffled = SessionSums(b.sums[:, [3, 1, 2]], b.counts, (3, 1, 2), frozenset(["id", "text"]), name="b")
    wanted = compare(
        a.select_seeds((1, 2, 3)),
        SessionSums(b.sums[:, 1:], b.counts, (1, 2, 3), frozenset(["id"]), name="b"),
    )
    assert compare(a, shuffled).method.value == pytest.approx(wanted.method.value)
    assert compare(a, shuffled).method.se == pytest.approx(wanted.method.se)


def test_question_ii_is_unknown_if_a_stochastic_model_has_one_seed():
    a, b = two_models(np.random.default_rng(7), sessions=50, seeds=3)
    tested = compare(a, b.select_seeds((1,)))
    assert np.isnan(
        [tested.method.se, tested.method.p, *tested.method.interval(), tested.method.p_equivalent(0.1)]
    ).all()
    assert np.isfinite([tested.method.value, tested.trained.p]).all()
    means = (np.full((10, 3), 0.1), np.full((10, 1), 0.1))
    assert np.isnan(bootstrap_interval(a, b.select_seeds((1,)), *means)).all()


def test_a_deterministic_model_adds_no_seed_variance():
    a, b = two_models(np.random.default_rng(8), sessions=50, seed_sd=0.05)
    one = b.select_seeds((1,))
    fixed = SessionSums(one.sums, one.counts, (1,), one.networks, True, "b")
    tested = compare(a, fixed)
    assert tested.method.se >= tested.trained.se
    other = SessionSums(a.sums[:, :1], a.counts, (1,), a.networks, True, "a")
    assert compare(other, fixed).method == compare(other, fixed).trained
    assert compare(other, fixed).method.df == len(a.counts) - 1


def test_equal_models_have_p_one_and_an_interval_of_width_zero():
    a, b = two_models(np.random.default_rng(9), sessions=60)
    same = SessionSums(a.sums, a.counts, a.seeds, b.networks, name="b")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same_network = with_networks(same, "a")
        tested = compare(a, same_network)
        assert tested.trained.p == tested.method.p == 1
        assert tested.method.interval() == (0, 0)
        assert tested.method.p_equivalent(0.005) == 0
        assert wilcoxon_p(np.zeros(20)) == 1
        assert sign_flip_p(np.zeros((20, 3)), 50).tolist() == [1, 1, 1]
        means = bootstrap_sums(a.sums, 100) / bootstrap_sums(a.counts[:, None].astype(float), 100)
        assert bootstrap_interval(a, same_network, means, means) == (0, 0)


def test_the_contrast_of_two_differences_is_the_difference_of_the_contrasts():
    a, b = two_models(np.random.default_rng(10), sessions=80, seed_sd=0.02, difference=0.05)
    c, d = (
        SessionSums(x.sums, x.counts, x.seeds, frozenset([n]), name=n)
        for x, n in zip((b, a), "cd", strict=True)
    )
    whole = contrast((1, a), (-1, b), (-1, c), (1, d))
    assert whole.method.value == pytest.approx(compare(a, b).method.value - compare(c, d).method.value)
    errors = sum(sign * x.linearised().mean(1) for sign, x in ((1, a), (-1, b), (-1, c), (1, d)))
    assert whole.trained.se == pytest.approx(np.sqrt(80 / 79 * np.sum(errors**2)))


def test_an_estimate_agrees_with_students_t():
    one = Estimate(0.4, 0.2, 7.3)
    assert one.p_greater() == pytest.approx(stats.t.sf(2, 7.3))
    assert one.p_less() == pytest.approx(stats.t.cdf(2, 7.3))
    assert one.p == pytest.approx(2 * stats.t.sf(2, 7.3))
    assert one.interval() == pytest.approx(stats.t.interval(1 - LEVEL, 7.3, 0.4, 0.2))
    assert one.p_equivalent(0.5) == pytest.approx(stats.t.sf(0.5, 7.3))
    assert Estimate(0.0, 0.1, 50).p_equivalent(0.5) < 0.001 < 0.4 < Estimate(0.49, 0.1, 50).p_equivalent(0.5)


def test_bootstrap_weights_count_the_draws():
    weights = np.concatenate(list(session_weights(7, 500, seed=4)))
    drawn = np.random.default_rng(4).integers(0, 7, (500, 7))
    literal = np.array([[list(row).count(s) for s in range(7)] for row in drawn])
    assert np.array_equal(weights, literal)
    columns = np.random.default_rng(0).random((7, 3))
    sums = [[sum(columns[s, c] for s in row) for c in range(3)] for row in drawn]
    assert np.allclose(bootstrap_sums(columns, 500, seed=4), sums)


def test_the_block_size_does_not_change_the_draws(monkeypatch):
    columns = np.random.default_rng(0).random((11, 2))
    whole, flipped = bootstrap_sums(columns, 200), sign_flip_p(columns - 0.5, 200)
    monkeypatch.setattr("alterrec.inference.statistics.BLOCK_FLOATS", 64)
    assert np.allclose(whole, bootstrap_sums(columns, 200))
    assert np.all(np.abs(flipped - sign_flip_p(columns - 0.5, 200)) < 0.2)


def test_the_bootstrap_interval_equals_a_loop_over_sessions_and_seeds():
    a, b = two_models(np.random.default_rng(11), sessions=25, seed_sd=0.1, difference=0.1)
    resamples, drawn = 300, np.random.default_rng(0).integers(0, 25, (300, 25))
    picks = {one.name: seed_weights(one.name, 3, resamples) for one in (a, b)}
    differences = []
    for r in range(resamples):
        means = []
        for one in (a, b):
            per_seed = [
                sum(one.sums[s, k] for s in drawn[r]) / sum(one.counts[s] for s in drawn[r]) for k in range(3)
            ]
            means.append(sum(per_seed[k] * picks[one.name][r, k] for k in range(3)))
        differences.append(means[0] - means[1])
    counts = bootstrap_sums(a.counts[:, None].astype(float), resamples)
    fast = bootstrap_interval(a, b, *(bootstrap_sums(one.sums, resamples) / counts for one in (a, b)))
    assert fast == pytest.approx(tuple(np.quantile(differences, [LEVEL / 2, 1 - LEVEL / 2])))


def test_the_bootstrap_interval_is_about_as_wide_as_the_interval_of_question_ii():
    a, b = two_models(np.random.default_rng(12), sessions=800, seeds=5, seed_sd=0.005)
    counts = bootstrap_sums(a.counts[:, None].astype(float), 2000)
    low, high = bootstrap_interval(a, b, *(bootstrap_sums(one.sums, 2000) / counts for one in (a, b)))
    wanted = compare(a, b).method
    assert 0.7 < (high - low) / np.subtract(*wanted.interval()[::-1]) < 1.3


def test_sign_flip_agrees_with_all_sign_patterns():
    differences = np.array([0.9, 0.4, -0.1, 0.6, 0.3, 0.0, 0.5, -0.2])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1)
    exact = np.mean(np.abs(differences @ signs) >= abs(differences.sum()) - 1e-9)
    assert sign_flip_p(differences[:, None], 20_000)[0] == pytest.approx(exact, abs=0.01)


def test_the_wilcoxon_test_treats_zeros_by_pratts_method():
    differences = np.array([0.0, 0.0, 1.0, 2.0, -0.5, 3.0, 0.25, 1.5, 1.0, -1.0])
    assert (
        wilcoxon_p(differences)
        == stats.wilcoxon(differences, zero_method="pratt", method="asymptotic").pvalue
    )
    assert wins_ties_losses(differences) == (6, 2, 2)


def test_corrections_ignore_a_p_that_is_nan():
    p = np.array([0.01, np.nan, 0.04, 0.03])
    assert adjust_p(p, "holm")[[0, 2, 3]] == pytest.approx([0.03, 0.06, 0.06])
    assert adjust_p(p, "fdr_bh")[[0, 2, 3]] == pytest.approx([0.03, 0.04, 0.04])
    assert np.isnan(adjust_p(p, "holm")[1])
    assert np.isnan(adjust_p(np.array([np.nan]), "holm")).all()
