"""From one-sided tests to a verdict: when all of several comparisons must hold, and when one of them is enough."""

from dataclasses import dataclass, replace

import numpy as np

from alterrec.inference.statistics import LEVEL, Contrast, Estimate

NOT_TESTED = "not tested"
"""The verdict on a claim without a difference, mostly because the study lacks models or a twin."""
NO_TEST = (
    "not tested: a trained model has one seed only (the variance over seeds is unknown) or a bin is empty"
)


@dataclass(frozen=True)
class Evidence:
    """The evidence for one verdict, as given by the comparison that decides.

    `p` is one-sided and already corrected for the number of comparisons within the claim. `level` is that of the
    interval which agrees with this p.
    """

    verdict: str
    p: float
    comparison: str
    estimate: Estimate
    level: float = LEVEL


@dataclass(frozen=True)
class Finding:
    """One row of the claims table: a two-sided p, and the verdict that holds if it is small enough.

    `statement` is empty for the claim itself; a component or a control states its own.
    """

    comparison: str
    difference: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    p: float = float("nan")
    leads_to: str = "undecided"
    note: str = ""
    statement: str = ""

    def undecided(self, reason: str) -> "Finding":
        """The same comparison, which decides nothing for this reason."""
        return replace(self, leads_to="undecided", note="; ".join(filter(None, (self.note, reason))))


Tests = dict[str, tuple[float, Estimate]]
"""By name of the comparison: its one-sided p and its estimate."""


def all_must_hold(verdict: str, tests: Tests) -> Evidence:
    """The evidence that all comparisons hold: the largest p decides (intersection-union test)."""
    name = max(tests, key=lambda comparison: nan_as_infinity(tests[comparison][0]))
    return Evidence(verdict, tests[name][0], name, tests[name][1])


def one_is_enough(verdict: str, tests: Tests) -> Evidence:
    """The evidence that at least one of m comparisons holds: m times the smallest p decides (Bonferroni)."""
    name = min(tests, key=lambda comparison: nan_as_infinity(tests[comparison][0]))
    unknown = any(np.isnan(p) for p, _ in tests.values())
    p = float("nan") if unknown else min(1.0, len(tests) * tests[name][0])
    return Evidence(verdict, p, name, tests[name][1], LEVEL / len(tests))


def nan_as_infinity(p: float) -> float:
    return np.inf if np.isnan(p) else p


def stronger(first: Evidence, second: Evidence) -> Finding:
    """The finding of the evidence with the smaller p (of `first` if both are equal), doubled for the two directions.

    If either p is unknown, so is the finding's.
    """
    if np.isnan([first.p, second.p]).any():
        return finding_from(first, unknown=True)
    return finding_from(min(first, second, key=lambda evidence: evidence.p))


def finding_from(evidence: Evidence, unknown: bool = False) -> Finding:
    """The finding of one evidence: twice its p, or NaN with a note if the p is `unknown`."""
    low, high = evidence.estimate.interval(evidence.level)
    p = float("nan") if unknown else min(1.0, 2 * evidence.p)
    note = NO_TEST if unknown else ""
    return Finding(evidence.comparison, evidence.estimate.value, low, high, p, evidence.verdict, note)


def are_greater(contrasts: dict[str, Contrast]) -> Tests:
    """One-sided tests that each difference is positive, under question (ii)."""
    return {name: (tested.method.p_greater(), tested.method) for name, tested in contrasts.items()}


def are_less(contrasts: dict[str, Contrast], than: float = 0.0) -> Tests:
    """One-sided tests that each difference is below `than`, under question (ii)."""
    return {name: (tested.method.p_less(than), tested.method) for name, tested in contrasts.items()}


def two_sided(name: str, tested: Contrast, statement: str = "") -> Finding:
    """The finding on 'this difference is positive' from its two-sided test."""
    contrasts = {name: tested}
    support = all_must_hold("supported", are_greater(contrasts))
    refute = one_is_enough("refuted", are_less(contrasts))
    return replace(stronger(support, refute), statement=statement)


def component(name: str, estimate: Estimate, p: float, statement: str) -> Finding:
    """The finding on a statement that one test with this p can support but not refute."""
    low, high = estimate.interval()
    return Finding(name, estimate.value, low, high, float(np.minimum(1.0, p)), "supported", "", statement)
