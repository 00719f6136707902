"""Two questions of significance about a difference of means over instances, answered from per-session sums.

The estimand is the difference that a table prints: the mean over instances (and over seeds) of model A minus
that of model B. Instances of one session depend on each other, so the session is the unit. A mean is a ratio,
the sum over sessions of X_s by the sum of n_s, and is linearised (Cochran, Sampling Techniques, section 6.4):

    u_s = (X_s - mean * n_s) / sum of n_s.

(i) `trained`: are these trained models different on further sessions? Seeds are averaged first, then paired
over sessions; t with S - 1 degrees of freedom:

    Var_i = S / (S - 1) * sum of u_s^2.

(ii) `method`: would the methods differ, trained again on further seeds too? Each group of models that share
networks (as a rule a model alone) has one estimate per seed; V_seed is their variance over the number of
seeds. A seed's estimate also varies because sessions respond to seeds differently, and that session x seed
interaction is in Var_i already. Its share of V_seed, V_inter, is estimated from the same sums, and only the
excess is added:

    Var_ii = Var_i + max(0, sum of V_seed - sum of V_inter).

This is the unbiased estimator for two crossed random factors (MS_A + MS_B - MS_AB), except that (ii) is never
more certain than (i). Adding all of V_seed would count the interaction twice (in simulations with 3 seeds: 3
% false alarms at 5 %, and standard errors wider by 15 to 20 %). Satterthwaite's degrees of freedom charge
V_seed in full to its few seeds:

    df = Var_ii^2 / (sum of V_seed^2 / (seeds - 1) + Var_i^2 / (S - 1)).

A deterministic model has no seed variance. A stochastic model with a single seed leaves (ii) unknown: NaN.
Two seeds give an answer whose level is only approximate where seeds vary more than sessions do; three or more
are better.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from scipy.special import stdtr, stdtrit
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

LEVEL = 0.05
RESAMPLES = 10_000
ZERO = 1e-12  # means lie in [0, 1]: anything smaller is rounding
FLOATS_AT_ONCE = 2**23  # of one block of resampling weights


@dataclass(frozen=True)
class SessionSums:
    """A metric of one model, summed over the instances of each session.

    sums: [S, K], one column per seed; counts: [S] instances of each session; networks: the trained networks
    that the model is made of (two models with one in common depend on the same seed).
    """

    sums: np.ndarray
    counts: np.ndarray
    seeds: tuple[int, ...]
    networks: frozenset[str] = frozenset()
    deterministic: bool = False
    name: str = ""

    @property
    def per_seed(self) -> np.ndarray:
        """[K] mean over instances; NaN where there is no instance."""
        total = self.counts.sum()
        return self.sums.sum(0) / total if total else np.full(len(self.seeds), np.nan)

    @property
    def mean(self) -> float:
        return float(self.per_seed.mean())

    def of_seeds(self, seeds: tuple[int, ...]) -> "SessionSums":
        columns = [self.seeds.index(seed) for seed in seeds]
        return SessionSums(
            self.sums[:, columns], self.counts, seeds, self.networks, self.deterministic, self.name
        )

    def linearised(self) -> np.ndarray:
        """[S, K] what each session contributes to the error of each seed's mean; columns sum to zero."""
        total = self.counts.sum()
        return (
            (self.sums - self.per_seed * self.counts[:, None]) / total
            if total
            else np.full(self.sums.shape, np.nan)
        )


@dataclass(frozen=True)
class Estimate:
    """An estimate with its standard error and degrees of freedom; NaN se where it cannot be known."""

    value: float
    se: float
    df: float

    def greater(self, than: float = 0.0) -> float:
        """One-sided p of the null hypothesis that the true value is at most `than`."""
        distance = self.value - than
        if np.isnan(self.se) or np.isnan(distance):
            return float("nan")
        if self.se == 0:
            return 0.0 if distance > 0 else 1.0
        return float(stdtr(self.df, -distance / self.se))

    def less(self, than: float = 0.0) -> float:
        """One-sided p of the null hypothesis that the true value is at least `than`."""
        return Estimate(-self.value, self.se, self.df).greater(-than)

    @property
    def p(self) -> float:
        """Two-sided p of the null hypothesis of no difference."""
        return min(1.0, 2 * min(self.greater(), self.less())) if not np.isnan(self.se) else float("nan")

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Two-sided interval of confidence 1 - level."""
        half = 0.0 if self.se == 0 else float(stdtrit(self.df, 1 - level / 2) * self.se)
        return self.value - half, self.value + half

    def equivalent(self, margin: float) -> float:
        """p of two one-sided tests (Schuirmann 1987): small where the true value lies within +-margin."""
        inside = (self.greater(-margin), self.less(margin))
        return float("nan") if np.isnan(inside).any() else max(inside)


@dataclass(frozen=True)
class Contrast:
    """A difference under both questions; `influence` [S] is what each session adds to its error."""

    trained: Estimate
    method: Estimate
    influence: np.ndarray = field(repr=False)


Term = tuple[float, SessionSums]


def contrast(*terms: Term) -> Contrast:
    """Test the sum of coefficient * mean over `terms` on the same sessions, e.g. contrast((1, a), (-1, b)).

    Models that share networks are paired by seed and enter with the seeds that they have in common.
    """
    value, influence, v_seed, v_inter, charged = 0.0, 0.0, 0.0, 0.0, 0.0
    sessions = len(terms[0][1].counts)
    for group in sharing(terms):
        per_seed = sum(weight * one.per_seed for weight, one in group)
        errors = sum(weight * one.linearised() for weight, one in group)
        value += per_seed.mean()
        influence = influence + errors.mean(1)
        seeds = len(per_seed)
        if group[0][1].deterministic:
            continue
        variance = per_seed.var(ddof=1) / seeds if seeds > 1 else np.nan
        v_seed += variance
        v_inter += corrected(errors.var(1, ddof=1).sum() / seeds, sessions) if seeds > 1 else np.nan
        charged += variance**2 / (seeds - 1) if seeds > 1 else np.nan
    v_session = corrected(float(np.sum(influence**2)), sessions)
    excess = max(0.0, v_seed - v_inter) if not np.isnan(v_seed) else np.nan
    trained = estimate(value, v_session, sessions - 1)
    total = v_session + excess
    charged += v_session**2 / (sessions - 1) if sessions > 1 else np.nan
    df = total**2 / charged if charged != 0 else sessions - 1
    return Contrast(trained, estimate(value, total, df), influence)


def compare(a: SessionSums, b: SessionSums) -> Contrast:
    """Test mean(a) - mean(b)."""
    return contrast((1, a), (-1, b))


def corrected(variance: float, sessions: int) -> float:
    return variance * sessions / (sessions - 1) if sessions > 1 else float("nan")


def estimate(value: float, variance: float, df: float) -> Estimate:
    """An Estimate in which rounding errors count as the zeros that they are."""
    se = float(np.sqrt(variance))
    return Estimate(0.0 if abs(value) < ZERO else float(value), 0.0 if se < ZERO else se, float(df))


def sharing(terms: tuple[Term, ...]) -> list[list[Term]]:
    """Groups of terms whose models share networks of the same seed, each cut to its members' common seeds."""
    groups: list[list[Term]] = []
    for term in terms:
        linked = [group for group in groups if any(paired(term[1], other) for _, other in group)]
        groups = [group for group in groups if not any(group is one for one in linked)]
        groups.append([member for group in linked for member in group] + [term])
    return [cut_to_common_seeds(group) for group in groups]


def cut_to_common_seeds(group: list[Term]) -> list[Term]:
    seeds = tuple(seed for seed in group[0][1].seeds if all(seed in one.seeds for _, one in group))
    if not seeds:
        raise ValueError(
            f"{', '.join(one.name for _, one in group)} share networks but have no seed in common"
        )
    return [(weight, one.of_seeds(seeds)) for weight, one in group]


def paired(a: SessionSums, b: SessionSums) -> bool:
    """Whether equal seeds of the two mean the same trained networks."""
    shared = a.networks & b.networks and set(a.seeds) & set(b.seeds)
    return bool(shared) and a.deterministic == b.deterministic


def matched(a: SessionSums, b: SessionSums) -> tuple[SessionSums, SessionSums]:
    """The two cut to the seeds that they have in common, if they share networks; else as they are."""
    if not paired(a, b):
        return a, b
    return tuple(one for _, one in cut_to_common_seeds([(1, a), (1, b)]))


# Resampling: one set of weights for all models of a dataset, as matrix products


def session_weights(sessions: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks [b, S] of how often each session is drawn in a bootstrap resample; rows add up to S."""
    random = np.random.default_rng(seed)
    rows = max(1, FLOATS_AT_ONCE // max(1, sessions))
    for start in range(0, resamples, rows):
        block = min(rows, resamples - start)
        drawn = random.integers(0, sessions, (block, sessions)) + sessions * np.arange(block)[:, None]
        yield np.bincount(drawn.ravel(), minlength=block * sessions).reshape(block, sessions).astype(float)


def bootstrap_sums(columns: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """[resamples, C] column sums of [S, C] over sessions drawn with replacement, the same for all columns."""
    return np.concatenate([weights @ columns for weights in session_weights(len(columns), resamples, seed)])


def seed_weights(model: str, count: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """[resamples, count] share of each seed in `count` draws with replacement, by the model's name."""
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
    """Percentile interval of mean(a) - mean(b), sessions and seeds resampled.

    `means_a` [resamples, K_a] and `means_b` hold each seed's mean on the resampled sessions. Models that
    share networks are resampled seed by seed together. NaN where a stochastic model has one seed only: its
    seeds cannot be resampled.
    """
    resamples = len(means_a)
    if paired(a, b):
        common = matched(a, b)[0].seeds
        rows_a, rows_b = ([one.seeds.index(s) for s in common] for one in (a, b))
        parts = [(means_a[:, rows_a] - means_b[:, rows_b], a.deterministic, min(a.name, b.name))]
    else:
        parts = [(means_a, a.deterministic, a.name), (-means_b, b.deterministic, b.name)]
    if any(values.shape[1] == 1 and not deterministic for values, deterministic, _ in parts):
        return float("nan"), float("nan")
    total = sum(
        (values * seed_weights(name, values.shape[1], resamples, seed)).sum(1) for values, _, name in parts
    )
    low, high = np.quantile(total, [level / 2, 1 - level / 2])
    return float(low), float(high)


def sign_flip(differences: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """[C] two-sided permutation p of each column of per-session differences [S, C]: (b + 1) / (B + 1).

    A session's two models are exchanged or not, at random; b counts the totals at least as far from zero as
    the observed.
    """
    sessions = len(differences)
    random = np.random.default_rng(seed)
    observed = np.abs(differences.sum(0)) * (1 - 1e-9) - ZERO
    rows, exceeding = max(1, FLOATS_AT_ONCE // max(1, sessions)), np.zeros(differences.shape[1], np.int64)
    for start in range(0, resamples, rows):
        block = min(rows, resamples - start)
        bits = np.unpackbits(
            random.integers(0, 256, (block, -(-sessions // 8)), np.uint8), axis=1, count=sessions
        )
        exceeding += (np.abs((2.0 * bits - 1) @ differences) >= observed).sum(0)
    return (exceeding + 1) / (resamples + 1)


def signed_rank(differences: np.ndarray) -> float:
    """p of Wilcoxon's signed-rank test (Pratt's zeros, normal approximation); 1 where nothing differs."""
    rounded = np.round(differences, 12)
    if not rounded.any():
        return 1.0
    return float(wilcoxon(rounded, zero_method="pratt", method="asymptotic").pvalue)


def wins_ties_losses(differences: np.ndarray) -> tuple[int, int, int]:
    """Sessions in which the difference is positive, zero, negative."""
    wins, losses = int((differences > ZERO).sum()), int((differences < -ZERO).sum())
    return wins, len(differences) - wins - losses, losses


def adjust(p: np.ndarray, method: str) -> np.ndarray:
    """p corrected by `method` "holm" or "fdr_bh"; a NaN is not part of the family and stays NaN."""
    p = np.asarray(p, float)
    known, out = ~np.isnan(p), np.full(p.shape, np.nan)
    if known.any():
        out[known] = multipletests(p[known], method=method)[1]
    return out
