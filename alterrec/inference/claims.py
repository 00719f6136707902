"""The claims C1 to C8 and the rule that decides each of them.

The rules of C3 to C6 were written down before any run. Those of C1, C2, C7 and C8 were changed after the results of a
first study of Amazon Beauty, the pilot, had been seen; each of them says when and why. A rule that was chosen after
seeing data can be judged by later runs only, so no verdict on the pilot's own runs may cite it as fixed beforehand.

All tests answer question (ii) of `alterrec.inference.statistics`: further sessions and further seeds. Each claim has a
one-sided p of the evidence for it and another of the evidence against it. If all of several comparisons must hold, the
largest of their p counts (intersection-union test). If one of m comparisons is enough, m times the smallest p
counts (Bonferroni). The p of the claim is twice the smaller of the two. Its difference and interval are those of the
comparison that gave this p. The interval has 95 % confidence, or 1 - 5 %/m if one of m comparisons was enough, so that
interval and p agree.

Holm's correction covers claims x datasets; twins are not counted as datasets. It is applied to the primary outcome,
Hits@20 over all prefixes, and separately in the same way to every other scope and metric. If p_holm is at most LEVEL,
the verdict is the one that gave p, supported or refuted. Otherwise the claim is undecided. It is undecided, too, if its
models had unequal budgets or were kept before their treatment (alterrec/inference/budgets.py). It is not tested if there
is no difference to test: models, a twin or the ranks of parts are missing, or there is one popularity bin only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from alterrec.inference.budgets import budgets_table, objection
from alterrec.inference.outcomes import METRICS, SCOPES, Outcomes
from alterrec.inference.significance import LATE_ENSEMBLES
from alterrec.inference.statistics import LEVEL, Contrast, Term, adjust_p, contrast
from alterrec.inference.verdicts import (
    NOT_TESTED,
    Finding,
    all_must_hold,
    are_greater,
    are_less,
    component,
    finding_from,
    one_is_enough,
    stronger,
    two_sided,
)
from alterrec.ranking.metrics import K

FUSIONS = ("fusion_sum", "fusion_concat", "fusion_gate", "fusion_score")
SINGLES = ("id_only", "text_only")
REVISED = "Revised on 2026-11-26 after the first Beauty study:"

# Both constants come from the pilot: `alterrec power results/reference/beauty_pilot/summary` prints their values.
ID_PART_MARGIN = 0.015
"""C2: differences of the ID part smaller than this count as equal.

The pilot's interval has a half-width h of 0.89 points. Two one-sided tests at 2.5 % reach 80 % power at a true
difference of zero if the margin is at least (t_0.975 + t_0.9) standard errors. That is at most (1 + 1.28 / 1.96) h =
1.47 points for any degrees of freedom, rounded up to 0.1.
"""
EXCESS_MARGINS = {"C3": 0.006, "C4": 0.005, "C6": 0.005, "C7": 0.005}
"""C8: excesses below these count as none. Each is the half-width of the claim's interval in the pilot, rounded up to 0.1.

The pilot's half-width for C4 was 4.12 points, because early stopping ended its augmented runs at very different
qualities. A margin of 4.2 would exclude nothing, so C4 has that of C6, which also compares two forms of AlterRec.
"""


def in_points(margin: float) -> str:
    return f"{100 * margin:g} points"


@dataclass(frozen=True)
class Case:
    """The outcomes of a dataset and its twin in one scope and metric. `rarest` and `commonest` are popularity bins."""

    real: Outcomes
    twin: Outcomes | None
    rarest: int
    commonest: int
    scope: str = SCOPES[0]
    metric: str = METRICS[0]

    def term(self, weight: float, model: str, twin: bool = False, **which) -> Term:
        """A term of a contrast; `which` names a part or a bin of the model."""
        return weight, (self.twin if twin else self.real).sums(model, self.scope, self.metric, **which)


Gain = tuple[str, list[Term]]
"""The name of a comparison and the terms of the contrast that tests it."""


@dataclass(frozen=True)
class Claim:
    """A claim in words, its rule, the models that it needs and the check that applies the rule.

    `check` yields the claim's own finding first and then those of its components and controls. `gain` is the comparison
    that C8 repeats on the twin. If `needs_twin`, the models are needed on the twin too. Models that it `compares_too` need
    not have run.
    """

    name: str
    statement: str
    rule: str
    needs: tuple[str, ...]
    check: Callable[[Case], Iterator[Finding]]
    gain: Callable[[Case, bool], Gain] | None = None
    needs_twin: bool = False
    compares_too: tuple[str, ...] = ()

    def missing(self, case: Case) -> str:
        """What the claim needs and the study does not have; "" if nothing is missing."""
        if self.needs_twin and case.twin is None:
            return "the study has no twin of this dataset (a copy with permuted texts)"
        needs = [*self.needs]
        if self is C8 and (preferred := case.real.best_on_validation(LATE_ENSEMBLES)) not in (None, *needs):
            needs.append(preferred)
        absent = [model for model in needs if model not in case.real]
        if self.needs_twin:
            absent += [f"{model} on {case.twin.name}" for model in needs if model not in case.twin]
        if self is C2 and not absent:
            absent = [
                f"the ranks of the {part} part of fusion_score"
                for part in ("id", "text")
                if not case.real.has_part("fusion_score", part)
            ]
        if absent:
            return f"not run: {', '.join(absent)}"
        if self is C5 and case.rarest == case.commonest:
            return "all warm test targets fall into one popularity bin"
        if self.needs_twin and not same_sessions(case.real, case.twin):
            return f"the test sessions of {case.twin.name} differ from those of {case.real.name}"
        return ""


def same_sessions(real: Outcomes, twin: Outcomes) -> bool:
    return np.array_equal(real.sessions, twin.sessions) and np.array_equal(real.session_of, twin.session_of)


def difference(case: Case, model: str, other: str, twin: bool = False) -> Gain:
    return f"{model} - {other}", [case.term(1, model, twin), case.term(-1, other, twin)]


def gain_finding(gain: Gain, statement: str = "") -> Finding:
    """The two-sided finding that a gain is positive."""
    name, terms = gain
    return two_sided(name, contrast(*terms), statement)


# One block per claim: its check, its words, its rule and the models that it needs.


def check_c1(case: Case) -> Iterator[Finding]:
    single, fusion = (case.real.best_on_validation(models) for models in (SINGLES, FUSIONS))
    contrasts = against_fusions(case, single, -1)
    preferred = {name: contrasts[name] for name in [f"{fusion} - {single}"]}
    yield stronger(
        all_must_hold("supported", are_less(preferred)), one_is_enough("refuted", are_greater(preferred))
    )
    one_is_worse = stronger(
        one_is_enough("supported", are_less(contrasts)), all_must_hold("refuted", are_greater(contrasts))
    )
    yield replace(one_is_worse, statement="component: at least one of the four naive fusions is worse")
    for name, tested in contrasts.items():
        yield two_sided(name, tested, "component: this fusion beats the best single modality")


C1 = Claim(
    "C1",
    "Naive fusion does not consistently beat the best single modality.",
    f"The best single modality is the one of id_only and text_only with the higher validation Hits@{K}, the preferred "
    f"fusion the one of the four naive fusions with the highest. The test of their difference is two-sided. The claim is "
    "supported if the preferred fusion is significantly worse and refuted if it is significantly better. A component "
    "tests whether at least one of the four fusions is significantly worse (Bonferroni over the four). "
    f"{REVISED} this component was the claim's own rule, which one badly trained fusion of four is enough to support.",
    (*FUSIONS, *SINGLES),
    check_c1,
)


def against_fusions(case: Case, other: str, sign: int) -> dict[str, Contrast]:
    """By name: other - fusion (sign 1) or fusion - other (sign -1), for each naive fusion."""
    name = "{1} - {0}" if sign > 0 else "{0} - {1}"
    return {
        name.format(fusion, other): contrast(case.term(sign, other), case.term(-sign, fusion))
        for fusion in FUSIONS
    }


def check_c2(case: Case) -> Iterator[Finding]:
    names = {"text": "text part of fusion_score - text_only", "id": "ID part of fusion_score - id_only"}
    text, id_ = (
        contrast(case.term(1, "fusion_score", part=part), case.term(-1, f"{part}_only")).method
        for part in names
    )
    equal = id_.p_equivalent(ID_PART_MARGIN)
    different = np.minimum(id_.p_greater(ID_PART_MARGIN), id_.p_less(-ID_PART_MARGIN))
    support = all_must_hold("supported", {names["text"]: (text.p_less(), text), names["id"]: (equal, id_)})
    refute = one_is_enough(
        "refuted", {names["text"]: (text.p_greater(), text), names["id"]: (float(different), id_)}
    )
    yield stronger(support, refute)
    statement = "component: the text part is worse than text_only"
    yield component(names["text"], text, 2 * text.p_less(), statement)
    statement = (
        f"component: the ID part is equivalent to id_only within {in_points(ID_PART_MARGIN)} "
        "(p of two one-sided tests, doubled)"
    )
    yield component(names["id"], id_, 2 * equal, statement)


C2 = Claim(
    "C2",
    "Inside fusion_score the text part is worse than text trained alone, while the ID part is as good "
    "as ID alone, at equal updates per network.",
    "The claim is supported if the text part is significantly worse than text_only and the ID part is equivalent to "
    f"id_only within {in_points(ID_PART_MARGIN)} (two one-sided tests; decided by the larger p of both comparisons). It "
    "is refuted if the text part is significantly better than text_only, or if the ID part differs from id_only by "
    f"significantly more than {in_points(ID_PART_MARGIN)} (Bonferroni over the two). {REVISED} the margin was 0.5 points, "
    "less than the half-width of the interval (0.9 points with three seeds), so that equivalence could not be shown. The "
    "present margin gives that interval 80 % power if there is no difference.",
    ("fusion_score", *SINGLES),
    check_c2,
)


def gain_c3(case: Case, twin: bool = False) -> Gain:
    """The gain over the fusion with the best validation Hits@K on the real dataset."""
    return difference(case, "alterrec", case.real.best_on_validation(FUSIONS), twin)


def check_c3(case: Case) -> Iterator[Finding]:
    contrasts = against_fusions(case, "alterrec", 1)
    support = all_must_hold("supported", are_greater(contrasts))
    yield stronger(support, one_is_enough("refuted", are_less(contrasts)))
    for name, tested in contrasts.items():
        yield two_sided(name, tested, "component: alterrec beats this fusion")


C3 = Claim(
    "C3",
    "AlterRec beats every naive fusion.",
    "The claim is supported if alterrec is significantly better than each of the four naive fusions (decided by the "
    "largest p of the four). It is refuted if at least one of them is significantly better than alterrec (Bonferroni "
    "over the four).",
    ("alterrec", *FUSIONS),
    check_c3,
    gain_c3,
)


def gain_c4(case: Case, twin: bool = False) -> Gain:
    return difference(case, "alterrec_aug", "alterrec", twin)


C4 = Claim(
    "C4",
    "AlterRec_aug beats AlterRec at equal optimiser steps.",
    "The test of alterrec_aug - alterrec is two-sided. The claim is supported if the difference is significantly "
    "positive and refuted if it is significantly negative.",
    ("alterrec_aug", "alterrec"),
    lambda case: iter([gain_finding(gain_c4(case))]),
    gain_c4,
)


def gain_c5(case: Case, twin: bool = False) -> Gain:
    terms = [
        case.term(sign * weight, model, twin, bin=bin)
        for weight, bin in ((1, case.rarest), (-1, case.commonest))
        for sign, model in ((1, "alterrec"), (-1, "id_only"))
    ]
    return f"(alterrec - id_only) in bin {case.rarest} - the same in bin {case.commonest}", terms


C5 = Claim(
    "C5",
    "The absolute gain over ID alone is larger on tail targets than on head targets.",
    "The warm test targets are divided by training frequency into five popularity bins of equal mass; cold targets are "
    "left out. The tail is the rarest bin and the head the most frequent one. The test of (alterrec - id_only on the "
    "tail) - (the same on the head) is two-sided. The claim is supported if this difference is significantly positive "
    "and refuted if it is significantly negative.",
    ("alterrec", "id_only"),
    lambda case: iter([gain_finding(gain_c5(case))]),
    gain_c5,
)


def gain_c6(case: Case, twin: bool = False) -> Gain:
    return difference(case, "alterrec", "alterrec_random", twin)


C6 = Claim(
    "C6",
    "Hard negatives from the other network beat random ones, all else equal.",
    "The test of alterrec - alterrec_random is two-sided. The claim is supported if the difference is significantly "
    "positive and refuted if it is significantly negative.",
    ("alterrec", "alterrec_random"),
    lambda case: iter([gain_finding(gain_c6(case))]),
    gain_c6,
)


def gain_c7(case: Case, twin: bool = False) -> Gain:
    """The gain over the late ensemble with the best validation Hits@K on the real dataset."""
    return difference(case, "alterrec", case.real.best_on_validation(LATE_ENSEMBLES), twin)


def check_c7(case: Case) -> Iterator[Finding]:
    absent = [f"not run: {model}" for model in LATE_ENSEMBLES if model not in case.real]
    main = gain_finding(gain_c7(case))
    yield replace(main, note="; ".join(filter(None, (main.note, *absent))))
    others = {("alterrec", model): "component: alterrec beats this late ensemble" for model in LATE_ENSEMBLES}
    others |= {
        ("id_ensemble", "id_only"): "control: an ensemble of two ID networks beats one ID network",
        ("late_ensemble", "id_ensemble"): "control: an ensemble with text beats one of two ID networks",
        ("alterrec", "id_ensemble"): "control: alterrec beats an ensemble of two ID networks",
    }
    for (model, other), statement in others.items():
        if model in case.real and other in case.real:
            yield gain_finding(difference(case, model, other), statement)


C7 = Claim(
    "C7",
    "AlterRec beats the late ensemble of independently trained networks at equal budget.",
    f"The late ensemble is the one of late_ensemble and late_ensemble_sampled with the higher validation Hits@{K}. The "
    "test of alterrec minus it is two-sided. The claim is supported if the difference is significantly positive and "
    "refuted if it is significantly negative. id_ensemble is shown as a control. "
    f"{REVISED} late_ensemble alone was compared, which differs from alterrec not only in the exchange between the "
    "networks but also in the loss and in the choice of the epoch.",
    ("alterrec", "late_ensemble"),
    check_c7,
    gain_c7,
    compares_too=LATE_ENSEMBLES,
)


def check_c8(case: Case) -> Iterator[Finding]:
    contrasts, below = {}, {}
    for claim in (C3, C4, C6, C7):
        gain, terms = claim.gain(case)
        on_twin = [(-weight, sums) for weight, sums in claim.gain(case, twin=True)[1]]
        excess = {f"{claim.name}: ({gain}) - the same on {case.twin.name}": contrast(*terms, *on_twin)}
        contrasts |= excess
        below |= are_less(excess, EXCESS_MARGINS[claim.name])
    refute = one_is_enough("refuted", are_greater(contrasts))
    support = all_must_hold("supported", below)
    if 2 * refute.p <= LEVEL:
        yield finding_from(refute)
    else:
        yield finding_from(support, unknown=bool(np.isnan([refute.p, support.p]).any()))
    for name, tested in contrasts.items():
        yield two_sided(name, tested, "component: this gain is larger than on the twin")
    if "text_only" in case.real and "text_only" in case.twin:
        signal = contrast(case.term(1, "text_only"), case.term(-1, "text_only", twin=True))
        statement = "control: text_only is better with the real texts than with permuted texts"
        yield two_sided(f"text_only - text_only on {case.twin.name}", signal, statement)


C8 = Claim(
    "C8",
    "No gain of C3, C4, C6 and C7 exceeds the same gain on the dataset's twin whose texts are permuted among the items.",
    "The four gains are those of C3, C4, C6 and C7; those of C3 and C7 are over the fusion and the late ensemble with the "
    f"best validation Hits@{K} on the real dataset. The excess of a gain is its value on the real dataset minus that on "
    "the twin, with sessions paired. The claim is refuted if at least one excess is significantly positive (Bonferroni "
    "over the four, the first step of Holm); this is tested first. Otherwise it is supported if all four are "
    "significantly below their margins, "
    f"{', '.join(f'{claim} {in_points(margin)}' for claim, margin in EXCESS_MARGINS.items())} (decided by the largest p "
    f"of the four). {REVISED} C5 was a fifth gain and all margins were 0.5 points. The excess of C5, a difference of four "
    "differences, has a half-width of several points, so that the claim could not be supported. The margins are now the "
    "half-widths of the gains in that study; C4, whose runs differed widely there, has the margin of C6.",
    ("alterrec", "alterrec_aug", "alterrec_random", "late_ensemble", *FUSIONS),
    check_c8,
    needs_twin=True,
    compares_too=LATE_ENSEMBLES,
)

CLAIMS = (C1, C2, C3, C4, C5, C6, C7, C8)


def findings(real: Outcomes, twin: Outcomes | None, notes: list[str]) -> pd.DataFrame:
    """Every claim on one dataset, before Holm's correction, in every scope and metric.

    Components and controls have rows for the primary outcome only. `notes` are added to every row. The column _own
    marks the claims' own rows.
    """
    warm_bins = np.unique(real.bin[real.bin > 0])
    rarest, commonest = (int(warm_bins[0]), int(warm_bins[-1])) if len(warm_bins) else (0, 0)
    budgets = [budgets_table(outcomes) for outcomes in (real, twin) if outcomes]
    objections = {
        claim.name: objection(
            (*claim.needs, *claim.compares_too), pd.concat(budgets if claim.needs_twin else budgets[:1])
        )
        for claim in CLAIMS
    }
    rows = []
    for scope in SCOPES:
        for metric in METRICS:
            case = Case(real, twin, rarest, commonest, scope, metric)
            primary = (scope, metric) == (SCOPES[0], METRICS[0])
            for claim in CLAIMS:
                missing = claim.missing(case)
                found = [Finding("", note=missing)] if missing else list(claim.check(case))
                if objections[claim.name] and not missing:
                    found = [finding.undecided(objections[claim.name]) for finding in found]
                for place, finding in enumerate(found if primary else found[:1]):
                    own = place == 0
                    rows.append(
                        table_row(claim, case, finding, notes) | {"primary": primary and own, "_own": own}
                    )
    return pd.DataFrame(rows)


def table_row(claim: Claim, case: Case, finding: Finding, notes: list[str]) -> dict:
    return {
        "claim": claim.name,
        "dataset": case.real.name,
        "statement": finding.statement or claim.statement,
        "rule": claim.rule,
        "comparison": finding.comparison,
        "scope": case.scope,
        "metric": case.metric,
        "primary": False,
        "difference": finding.difference,
        "low": finding.low,
        "high": finding.high,
        "p": finding.p,
        "verdict": finding.leads_to,
        "note": "; ".join(filter(None, (finding.note, *notes))),
    }


def claims_table(found: list[pd.DataFrame]) -> pd.DataFrame:
    """The `findings` of all datasets with Holm's correction over claims x datasets, and with verdicts.

    A component or control is not part of the corrected family: its verdict is about its own statement and follows from
    its own uncorrected p.
    """
    table = pd.concat(found, ignore_index=True)
    table.insert(table.columns.get_loc("p") + 1, "p_holm", np.nan)
    own = table["_own"]
    for _, rows in table[own].groupby(["scope", "metric"]).groups.items():
        table.loc[rows, "p_holm"] = adjust_p(table.loc[rows, "p"], "holm")
    decided = table["p_holm"].where(own, table["p"]) <= LEVEL
    table["verdict"] = (
        table["verdict"].where(decided, "undecided").where(table["difference"].notna(), NOT_TESTED)
    )
    return table.drop(columns="_own")
