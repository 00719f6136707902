"""Tests of a difference between two means over instances, computed from sums per session.

The estimand is the difference that a table prints: the mean over instances (and over seeds) of model A minus that of
model B. The instances of one session depend on each other, so the unit is the session. Session s has n_s instances,
and X_s is the sum of their metric. A mean is then a ratio, the sum of X_s over the sum of n_s. It is linearised
(Cochran, Sampling Techniques, section 6.4), and session s contributes the error

    u_s = (X_s - mean * n_s) / sum of n_s.

The error of a difference is the difference of the errors. Two questions are answered separately.

Question (i), `Contrast.trained`: do these trained models differ on further sessions? Seeds are averaged first, and the
models are paired over the S sessions. The test is a t test with S - 1 degrees of freedom and

    Var_i = S / (S - 1) * sum of u_s^2.

Question (ii), `Contrast.method`: would the methods differ on further sessions if they were trained again with further
seeds? Models that share networks form one group; most groups are a single model. A group has one estimate per seed.
Its V_seed is the variance of these estimates divided by the number of seeds. V_seed includes an interaction: sessions
respond differently to different seeds. Var_i includes this interaction already. V_inter estimates the interaction's
share of V_seed from the same sums, and only the excess is added. With sums over the groups,

    Var_ii = Var_i + max(0, sum of V_seed - sum of V_inter).

This is the unbiased estimator for two crossed random factors (MS_A + MS_B - MS_AB), except that the maximum keeps (ii)
from being more certain than (i). Adding all of V_seed would count the interaction twice. In simulations with 3 seeds,
that gave 3 % false alarms at a level of 5 %, and standard errors that were wider by 15 to 20 %. Satterthwaite's degrees
of freedom charge V_seed in full to its few seeds:

    df = Var_ii^2 / (sum of V_seed^2 / (seeds - 1) + Var_i^2 / (S - 1)),

but never fewer than the smallest seeds - 1: a sum of variances has at least the degrees of freedom of its least certain
part, and the formula falls below that only where V_seed exceeds Var_ii by chance.

A deterministic model has no seed variance. If a stochastic model has a single seed, (ii) is unknown and NaN. With two
seeds, the level is only approximate where seeds vary more than sessions do. Three or more seeds are better.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from scipy.special import stdtr, stdtrit
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

LEVEL = 0.05
"""The significance level of every test; intervals have confidence 1 - LEVEL."""
RESAMPLES = 10_000
ROUNDING = 1e-12  # metrics lie in [0, 1], so a smaller difference or standard error is a rounding error
BLOCK_FLOATS = 2**23  # size of one block of resampling weights, which bounds the memory


@dataclass(frozen=True)
class SessionSums:
    """A metric of one model, summed over the instances of each session.

    `sums` [S, K] has one column per seed; `counts` [S] is the number of instances of each session. `networks` names the
    trained networks that the model consists of: two models with a common network depend on the same seeds.
    """

    sums: np.ndarray
    counts: np.ndarray
    seeds: tuple[int, ...]
    networks: frozenset[str] = frozenset()
    deterministic: bool = False
    name: str = ""

    @property
    def seed_means(self) -> np.ndarray:
        """[K] mean over instances for each seed; NaN if there is no instance."""
        total = self.counts.sum()
        return self.sums.sum(0) / total if total else np.full(len(self.seeds), np.nan)

    @property
    def mean(self) -> float:
        return float(self.seed_means.mean())

    def select_seeds(self, seeds: tuple[int, ...]) -> "SessionSums":
        columns = [self.seeds.index(seed) for seed in seeds]
        return SessionSums(
            self.sums[:, columns], self.counts, seeds, self.networks, self.deterministic, self.name
        )

    def linearised(self) -> np.ndarray:
        """[S, K] the error u_s that each session contributes to each seed's mean; columns sum to zero."""
        total = self.counts.sum()
        if not total:
            return np.full(self.sums.shape, np.nan)
        return (self.sums - self.seed_means * self.counts[:, None]) / total


@dataclass(frozen=True)
class Estimate:
    """An estimate with its standard error and degrees of freedom; `se` is NaN where it is unknown."""

    value: float
    se: float
    df: float

    def p_greater(self, than: float = 0.0) -> float:
        """One-sided p of the null hypothesis that the true value is at most `than`."""
        distance = self.value - than
        if np.isnan(self.se) or np.isnan(distance):
            return float("nan")
        if self.se == 0:
            return 0.0 if distance > 0 else 1.0
        return float(stdtr(self.df, -distance / self.se))

    def p_less(self, than: float = 0.0) -> float:
        """One-sided p of the null hypothesis that the true value is at least `than`."""
        return Estimate(-self.value, self.se, self.df).p_greater(-than)

    @property
    def p(self) -> float:
        """Two-sided p of the null hypothesis of no difference."""
        return min(1.0, 2 * min(self.p_greater(), self.p_less())) if not np.isnan(self.se) else float("nan")

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Two-sided confidence interval of confidence 1 - level."""
        half = 0.0 if self.se == 0 else float(stdtrit(self.df, 1 - level / 2) * self.se)
        return self.value - half, self.value + half

    def p_equivalent(self, margin: float) -> float:
        """p of two one-sided tests (Schuirmann 1987) of the null hypothesis that the true value is outside +-margin."""
        both = (self.p_greater(-margin), self.p_less(margin))
        return float("nan") if np.isnan(both).any() else max(both)


@dataclass(frozen=True)
class Contrast:
    """A difference as an answer to question (i), `trained`, and to question (ii), `method`."""

    trained: Estimate
    method: Estimate


Term = tuple[float, SessionSums]
"""A coefficient and the model whose mean it multiplies."""


def contrast(*terms: Term) -> Contrast:
    """Test the sum of coefficient * mean over `terms` on the same sessions, e.g. contrast((1, a), (-1, b)).

    Models that share networks are paired by seed, and only the seeds that they have in common are used.
    """
    value, session_errors, v_seed, v_inter, df_denominator = 0.0, 0.0, 0.0, 0.0, 0.0
    sessions = len(terms[0][1].counts)
    least_df = sessions - 1
    for group in group_by_networks(terms):
        seed_means = sum(weight * model.seed_means for weight, model in group)
        errors = sum(weight * model.linearised() for weight, model in group)
        value += seed_means.mean()
        session_errors = session_errors + errors.mean(1)
        seeds = len(seed_means)
        if group[0][1].deterministic:
            continue
        variance = seed_means.var(ddof=1) / seeds if seeds > 1 else np.nan
        v_seed += variance
        v_inter += unbiased(errors.var(1, ddof=1).sum() / seeds, sessions) if seeds > 1 else np.nan
        df_denominator += variance**2 / (seeds - 1) if seeds > 1 else np.nan
        least_df = min(least_df, seeds - 1)
    var_i = unbiased(float(np.sum(session_errors**2)), sessions)
    excess = max(0.0, v_seed - v_inter) if not np.isnan(v_seed) else np.nan
    var_ii = var_i + excess
    df_denominator += var_i**2 / (sessions - 1) if sessions > 1 else np.nan
    df = np.maximum(least_df, var_ii**2 / df_denominator) if df_denominator != 0 else sessions - 1
    trained = rounded_estimate(value, var_i, sessions - 1)
    return Contrast(trained, rounded_estimate(value, var_ii, df))


def compare(a: SessionSums, b: SessionSums) -> Contrast:
    """Test mean(a) - mean(b)."""
    return contrast((1, a), (-1, b))


def unbiased(variance: float, sessions: int) -> float:
    """A variance over S sessions times S / (S - 1); NaN for a single session."""
    return variance * sessions / (sessions - 1) if sessions > 1 else float("nan")


def rounded_estimate(value: float, variance: float, df: float) -> Estimate:
    """An Estimate whose value and standard error are exactly 0 where they are only rounding errors."""
    se = float(np.sqrt(variance))
    value = 0.0 if abs(value) < ROUNDING else float(value)
    return Estimate(value, 0.0 if se < ROUNDING else se, float(df))


def group_by_networks(terms: tuple[Term, ...]) -> list[list[Term]]:
    """Groups of terms whose models share networks of the same seeds, each cut to the seeds common to its members."""
    groups: list[list[Term]] = []
    for term in terms:
        linked = [group for group in groups if any(share_networks(term[1], other) for _, other in group)]
        groups = [group for group in groups if not any(group is joined for joined in linked)]
        groups.append([member for group in linked for member in group] + [term])
    return [cut_to_common_seeds(group) for group in groups]


def cut_to_common_seeds(group: list[Term]) -> list[Term]:
    """The group with the seeds that all its models have, in the first model's order; ValueError if there is none."""
    seeds = tuple(seed for seed in group[0][1].seeds if all(seed in model.seeds for _, model in group))
    if not seeds:
        names = ", ".join(model.name for _, model in group)
        raise ValueError(f"{names} share networks but have no seed in common: run them with the same seeds")
    return [(weight, model.select_seeds(seeds)) for weight, model in group]


def share_networks(a: SessionSums, b: SessionSums) -> bool:
    """Whether an equal seed of the two models stands for the same trained networks."""
    shared = a.networks & b.networks and set(a.seeds) & set(b.seeds)
    return bool(shared) and a.deterministic == b.deterministic


def with_common_seeds(a: SessionSums, b: SessionSums) -> tuple[SessionSums, SessionSums]:
    """Both models cut to their common seeds if they share networks, otherwise unchanged."""
    if not share_networks(a, b):
        return a, b
    return tuple(model for _, model in cut_to_common_seeds([(1, a), (1, b)]))


# Resampling. All models of a dataset are resampled with the same weights, as products of matrices.


def session_weights(sessions: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield blocks [b, S]: how often each session is drawn in each bootstrap resample. Rows sum to S."""
    random = np.random.default_rng(seed)
    rows = max(1, BLOCK_FLOATS // max(1, sessions))
    for start in range(0, resamples, rows):
        block = min(rows, resamples - start)
        drawn = random.integers(0, sessions, (block, sessions)) + sessions * np.arange(block)[:, None]
        yield np.bincount(drawn.ravel(), minlength=block * sessions).reshape(block, sessions).astype(float)


def bootstrap_sums(columns: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """[resamples, C] column sums of [S, C] over sessions drawn with replacement; all columns use the same draws."""
    return np.concatenate([weights @ columns for weights in session_weights(len(columns), resamples, seed)])


def seed_weights(model: str, count: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """[resamples, count] share of each seed in `count` draws with replacement; the model's name decides the draws."""
    drawn = np.random.default_rng([seed, crc32(model.encode()), count]).integers(0, count, (resamples, count))
    return (drawn[:, :, None] == np.arange(count)).sum(1) / count


def bootstrap_interval(
    a: SessionSums,
    b: SessionSums,
    means_a: np.ndarray,
    means_b: np.ndarray,
    seed: int = 0,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Percentile interval of mean(a) - mean(b) when sessions and seeds are resampled.

    `means_a` [resamples, K_a] and `means_b` [resamples, K_b] hold each seed's mean on the resampled sessions. Models
    that share networks use the same resampled seeds. The interval is NaN if a stochastic model has one seed only,
    because a single seed cannot be resampled.
    """
    resamples = len(means_a)
    if share_networks(a, b):
        common = with_common_seeds(a, b)[0].seeds
        columns_a, columns_b = ([model.seeds.index(s) for s in common] for model in (a, b))
        parts = [(means_a[:, columns_a] - means_b[:, columns_b], a.deterministic, min(a.name, b.name))]
    else:
        parts = [(means_a, a.deterministic, a.name), (-means_b, b.deterministic, b.name)]
    if any(values.shape[1] == 1 and not deterministic for values, deterministic, _ in parts):
        return float("nan"), float("nan")
    total = sum(
        (values * seed_weights(name, values.shape[1], resamples, seed)).sum(1) for values, _, name in parts
    )
    low, high = np.quantile(total, [level / 2, 1 - level / 2])
    return float(low), float(high)


def sign_flip_p(differences: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """[C] two-sided permutation p of each column of per-session differences [S, C]: (b + 1) / (B + 1).

    In each of the B resamples, the two models of every session are exchanged at random. b counts the resamples whose
    total is at least as far from zero as the observed total.
    """
    sessions = len(differences)
    random = np.random.default_rng(seed)
    observed = np.abs(differences.sum(0)) * (1 - 1e-9) - ROUNDING
    rows, exceeding = max(1, BLOCK_FLOATS // max(1, sessions)), np.zeros(differences.shape[1], np.int64)
    for start in range(0, resamples, rows):
        block = min(rows, resamples - start)
        bits = np.unpackbits(
            random.integers(0, 256, (block, -(-sessions // 8)), np.uint8), axis=1, count=sessions
        )
        exceeding += (np.abs((2.0 * bits - 1) @ differences) >= observed).sum(0)
    return (exceeding + 1) / (resamples + 1)


def wilcoxon_p(differences: np.ndarray) -> float:
    """p of Wilcoxon's signed-rank test (zeros by Pratt's method, normal approximation); 1 if nothing differs."""
    rounded = np.round(differences, 12)
    if not rounded.any():
        return 1.0
    return float(wilcoxon(rounded, zero_method="pratt", method="asymptotic").pvalue)


def wins_ties_losses(differences: np.ndarray) -> tuple[int, int, int]:
    """Numbers of sessions whose difference is positive, zero and negative."""
    wins, losses = int((differences > ROUNDING).sum()), int((differences < -ROUNDING).sum())
    return wins, len(differences) - wins - losses, losses


def adjust_p(p: np.ndarray, method: str) -> np.ndarray:
    """p corrected for multiple tests by `method` "holm" or "fdr_bh"; a NaN does not count as a test and stays NaN."""
    p = np.asarray(p, float)
    known, adjusted = ~np.isnan(p), np.full(p.shape, np.nan)
    if known.any():
        adjusted[known] = multipletests(p[known], method=method)[1]
    return adjusted
