"""From one-sided tests to a verdict: what it takes that all of several comparisons hold, or one of them."""

from dataclasses import dataclass

import numpy as np

from alterrec.analysis.statistics import LEVEL, Contrast, Estimate

ONE_SEED = (
    "not tested: a trained model has one seed only (the variance over seeds is unknown) or a bin is empty"
)


@dataclass(frozen=True)
class Evidence:
    """What speaks for a verdict: the one-sided p, corrected within the claim, of the deciding comparison."""

    verdict: str
    p: float
    comparison: str
    estimate: Estimate
    level: float = LEVEL


@dataclass(frozen=True)
class Finding:
    """One row of the table: a two-sided p and the verdict that it leads to where it is small."""

    comparison: str
    difference: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    p: float = float("nan")
    leads_to: str = "undecided"
    note: str = ""
    statement: str = ""  # of a component or control, which is not the claim's own


Tests = dict[str, tuple[float, Estimate]]  # comparison -> (one-sided p, estimate)


def every(verdict: str, tests: Tests) -> Evidence:
    """All comparisons must hold: the weakest decides."""
    name = max(tests, key=lambda one: nan_last(tests[one][0]))
    return Evidence(verdict, tests[name][0], name, tests[name][1])


def some(verdict: str, tests: Tests) -> Evidence:
    """One comparison suffices: the strongest decides, corrected for their number."""
    name = min(tests, key=lambda one: nan_last(tests[one][0]))
    unknown = any(np.isnan(p) for p, _ in tests.values())
    p = float("nan") if unknown else min(1.0, len(tests) * tests[name][0])
    return Evidence(verdict, p, name, tests[name][1], LEVEL / len(tests))


def nan_last(p: float) -> float:
    return np.inf if np.isnan(p) else p


def decide(first: Evidence, second: Evidence) -> Finding:
    """The finding of the stronger evidence, the first where both are equal; p counts both directions."""
    evidence = min(first, second, key=lambda one: nan_last(one.p))
    return finding(evidence) if not np.isnan([first.p, second.p]).any() else finding(first, unknown=True)


def finding(evidence: Evidence, unknown: bool = False) -> Finding:
    low, high = evidence.estimate.interval(evidence.level)
    p = float("nan") if unknown else min(1.0, 2 * evidence.p)
    note = ONE_SEED if unknown else ""
    return Finding(evidence.comparison, evidence.estimate.value, low, high, p, evidence.verdict, note)


def greater(contrasts: dict[str, Contrast]) -> Tests:
    return {name: (one.method.greater(), one.method) for name, one in contrasts.items()}


def less(contrasts: dict[str, Contrast], than: float = 0.0) -> Tests:
    return {name: (one.method.less(than), one.method) for name, one in contrasts.items()}


def one_comparison(name: str, one: Contrast, statement: str = "", note: str = "") -> Finding:
    """'The difference is positive', by its two-sided test."""
    tests = {name: one}
    result = decide(every("supported", greater(tests)), some("refuted", less(tests)))
    return Finding(
        **vars(result) | {"statement": statement, "note": "; ".join(filter(None, (note, result.note)))}
    )


def finding_of(name: str, one: Estimate, p: float, statement: str) -> Finding:
    low, high = one.interval()
    return Finding(name, one.value, low, high, float(np.minimum(1.0, p)), "supported", "", statement)
