"""The claims C1-C8, each with the rule that decides it, written down before any run.

All tests answer question (ii) of `alterrec.analysis.statistics`: sessions and seeds. For each claim there is a
one-sided p of the evidence for it and one of the evidence against it. Where several comparisons must all
hold, the largest p counts (intersection-union test); where one of m suffices, m times the smallest
(Bonferroni). The claim's p is twice the smaller of the two, and its difference and interval are those of the
comparison that gave this p: a 95 % interval, or 1 - 5 %/m where one of m sufficed, so that interval and p
agree. Holm's correction runs over claims x datasets (twins are not datasets of the family), once for the
primary all-prefix Hits@20 and in the same way for each metric and scope beside it. The claim is supported or
refuted, whichever gave p, where p_holm <= 0.05; else it is undecided.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alterrec.analysis.outcomes import METRICS, SCOPES, Outcomes
from alterrec.analysis.statistics import LEVEL, Contrast, Term, adjust, contrast
from alterrec.analysis.verdicts import (
    Finding,
    decide,
    every,
    finding,
    finding_of,
    greater,
    less,
    one_comparison,
    some,
)

MARGIN = 0.005  # 0.5 points
FUSIONS = ("fusion_sum", "fusion_concat", "fusion_gate", "fusion_score")
SINGLES = ("id_only", "text_only")
DRAWN_ORDER = "order within a basket is drawn: sequence effects cannot show"
DEMO = "demo data: shows the suite at work, never evidence"


@dataclass(frozen=True)
class Case:
    """The evidence of one dataset (and its permuted twin) in one scope and metric."""

    real: Outcomes
    twin: Outcomes | None
    rarest: int
    commonest: int
    scope: str = "all"
    metric: str = "Hits"

    def term(self, weight: float, model: str, twin: bool = False, **which) -> Term:
        return weight, (self.twin if twin else self.real).sums(model, self.scope, self.metric, **which)


Gain = tuple[str, list[Term]]
"""A comparison's name and the terms of the contrast that tests it."""


@dataclass(frozen=True)
class Claim:
    """A claim, the rule that decides it, the models that it needs (on the twin too if `twin`) and its check.

    `gain` is the comparison that C8 repeats on the twin.
    """

    name: str
    statement: str
    rule: str
    needs: tuple[str, ...]
    check: Callable[[Case], Iterator[Finding]]
    gain: Callable[[Case, bool], Gain] | None = None
    twin: bool = False

    def missing(self, case: Case) -> str:
        """What the claim needs and the study lacks; "" where nothing is missing."""
        if self.twin and case.twin is None:
            return "the study has no twin of this dataset with permuted texts"
        absent = [model for model in self.needs if model not in case.real]
        if self.twin:
            absent += [f"{model} on {case.twin.name}" for model in self.needs if model not in case.twin]
        if self.name == "C2" and not absent:
            absent = [
                f"the {p} part's ranks of fusion_score"
                for p in ("id", "text")
                if not case.real.has_part(self.needs[0], p)
            ]
        if absent:
            return f"not run: {', '.join(absent)}"
        if self.name in ("C5", "C8") and case.rarest == case.commonest:
            return "the warm test targets fill one popularity bin only"
        if self.twin and not same_sessions(case.real, case.twin):
            return f"the test sessions of {case.twin.name} are not those of {case.real.name}"
        return ""


def same_sessions(real: Outcomes, twin: Outcomes) -> bool:
    return np.array_equal(real.sessions, twin.sessions) and np.array_equal(real.session_of, twin.session_of)


def difference(case: Case, ours: str, other: str, twin: bool = False) -> Gain:
    return f"{ours} - {other}", [case.term(1, ours, twin), case.term(-1, other, twin)]


def two_sided(gain: Gain) -> Finding:
    """The finding that a gain is positive."""
    name, terms = gain
    return one_comparison(name, contrast(*terms))


# One block per claim: its words, its rule, the models that it needs, and its check.


def check_c1(case: Case) -> Iterator[Finding]:
    contrasts = fusions_against(case, case.real.best(SINGLES), -1)
    yield decide(some("supported", less(contrasts)), every("refuted", greater(contrasts)))
    for name, one in contrasts.items():
        yield one_comparison(name, one, "component: this fusion beats the best single modality")


C1 = Claim(
    "C1",
    "Naive fusion does not consistently beat the best single modality.",
    "Best single modality: the higher validation Hits@20 of id_only and text_only. Supported where at "
    "least one of the four naive fusions is significantly worse than it (Bonferroni over the four); "
    "refuted where all four are significantly better (largest p of the four).",
    (*FUSIONS, *SINGLES),
    check_c1,
)


def fusions_against(case: Case, other: str, sign: int) -> dict[str, Contrast]:
    """other - fusion (sign 1) or fusion - other (sign -1), for each naive fusion."""
    name = "{1} - {0}" if sign > 0 else "{0} - {1}"
    return {
        name.format(fusion, other): contrast(case.term(sign, other), case.term(-sign, fusion))
        for fusion in FUSIONS
    }


def check_c2(case: Case) -> Iterator[Finding]:
    names = {part: f"{part} part of fusion_score - {part}_only" for part in ("text", "id")}
    text, id_ = (
        contrast(case.term(1, "fusion_score", part=part), case.term(-1, f"{part}_only")).method
        for part in names
    )
    support = every(
        "supported", {names["text"]: (text.less(), text), names["id"]: (id_.equivalent(MARGIN), id_)}
    )
    outside = np.minimum(id_.greater(MARGIN), id_.less(-MARGIN))
    refute = some("refuted", {names["text"]: (text.greater(), text), names["id"]: (float(outside), id_)})
    main = decide(support, refute)
    yield Finding(**vars(main) | {"note": "; ".join(filter(None, (main.note, updates_note(case.real))))})
    yield finding_of(names["text"], text, 2 * text.less(), "component: the text part is worse than text_only")
    statement = (
        "component: the ID part equals id_only within +-0.5 points (p of two one-sided tests, doubled)"
    )
    yield finding_of(names["id"], id_, 2 * id_.equivalent(MARGIN), statement)


C2 = Claim(
    "C2",
    "Inside fusion_score the text part is worse than text trained alone, while the ID part is as good "
    "as ID alone, at equal updates per network.",
    "Supported where the text part is significantly worse than text_only and the ID part is equivalent"
    " to id_only within +-0.5 points (two one-sided tests; largest p of both). Refuted where the text "
    "part is significantly better than text_only or the ID part differs from id_only by significantly "
    "more than 0.5 points (Bonferroni over the two). The note tells the updates that each network got.",
    ("fusion_score", *SINGLES),
    check_c2,
)


def updates_note(outcomes: Outcomes) -> str:
    """How often each network was updated, mean over seeds; the claim is about equal numbers."""
    updates = {
        (model, network): np.mean(counts)
        for model in ("fusion_score", *SINGLES)
        for network, counts in outcomes.updates.get(model, {}).items()
    }
    if len(updates) < 3:
        return "updates per network unknown"
    equal = max(updates.values()) <= 1.01 * min(updates.values())
    told = ", ".join(f"{model} {count:,.0f}" for (model, _), count in updates.items())
    return ("equal updates: " if equal else "not at equal updates (early stopping): ") + told


def gain_c3(case: Case, twin: bool = False) -> Gain:
    """Over the fusion with the best validation Hits@20 on the real dataset."""
    return difference(case, "alterrec", case.real.best(FUSIONS), twin)


def check_c3(case: Case) -> Iterator[Finding]:
    contrasts = fusions_against(case, "alterrec", 1)
    yield decide(every("supported", greater(contrasts)), some("refuted", less(contrasts)))
    for name, one in contrasts.items():
        yield one_comparison(name, one, "component: alterrec beats this fusion")


C3 = Claim(
    "C3",
    "AlterRec beats every naive fusion.",
    "Supported where alterrec is significantly better than each of the four naive fusions (largest p "
    "of the four); refuted where at least one of them is significantly better than alterrec "
    "(Bonferroni over the four).",
    ("alterrec", *FUSIONS),
    check_c3,
    gain_c3,
)


def gain_c4(case: Case, twin: bool = False) -> Gain:
    return difference(case, "alterrec_aug", "alterrec", twin)


C4 = Claim(
    "C4",
    "AlterRec_aug beats AlterRec at equal optimiser steps.",
    "Two-sided test of alterrec_aug - alterrec: supported where significantly positive, refuted where "
    "significantly negative.",
    ("alterrec_aug", "alterrec"),
    lambda case: iter([two_sided(gain_c4(case))]),
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
    "Tail and head: the rarest and the most frequent of the five bins of equal mass of warm test "
    "targets by training frequency (cold targets excluded). Two-sided test of (alterrec - id_only on "
    "the tail) - (the same on the head): supported where significantly positive, refuted where "
    "significantly negative.",
    ("alterrec", "id_only"),
    lambda case: iter([two_sided(gain_c5(case))]),
    gain_c5,
)


def gain_c6(case: Case, twin: bool = False) -> Gain:
    return difference(case, "alterrec", "alterrec_random", twin)


C6 = Claim(
    "C6",
    "Hard negatives from the other network beat random ones, all else equal.",
    "Two-sided test of alterrec - alterrec_random: supported where significantly positive, refuted "
    "where significantly negative.",
    ("alterrec", "alterrec_random"),
    lambda case: iter([two_sided(gain_c6(case))]),
    gain_c6,
)


def gain_c7(case: Case, twin: bool = False) -> Gain:
    return difference(case, "alterrec", "late_ensemble", twin)


def check_c7(case: Case) -> Iterator[Finding]:
    yield two_sided(gain_c7(case))
    controls = {
        ("id_ensemble", "id_only"): "control: ensembling two ID networks alone gives a gain",
        ("late_ensemble", "id_ensemble"): "control: an ensemble with text beats one of two ID networks",
        ("alterrec", "id_ensemble"): "control: alterrec beats an ensemble of two ID networks",
    }
    for (ours, other), statement in controls.items():
        if ours in case.real and other in case.real:
            name, terms = difference(case, ours, other)
            yield one_comparison(name, contrast(*terms), statement)


C7 = Claim(
    "C7",
    "AlterRec beats the late ensemble of independently trained networks at equal budget.",
    "Two-sided test of alterrec - late_ensemble: supported where significantly positive, refuted where"
    " significantly negative. id_ensemble stands beside it as a control.",
    ("alterrec", "late_ensemble"),
    check_c7,
    gain_c7,
)


def check_c8(case: Case) -> Iterator[Finding]:
    contrasts = {}
    for claim in (C3, C4, C5, C6, C7):
        name, terms = claim.gain(case)
        on_twin = [(-weight, sums) for weight, sums in claim.gain(case, twin=True)[1]]
        contrasts[f"{claim.name}: ({name}) - the same on {case.twin.name}"] = contrast(*terms, *on_twin)
    refute, support = some("refuted", greater(contrasts)), every("supported", less(contrasts, MARGIN))
    if 2 * refute.p <= LEVEL:
        yield finding(refute)
    else:
        yield finding(support, unknown=bool(np.isnan([refute.p, support.p]).any()))
    for name, one in contrasts.items():
        yield one_comparison(name, one, "component: this gain is larger than on the twin")
    if "text_only" in case.real and "text_only" in case.twin:
        signal = contrast(case.term(1, "text_only"), case.term(-1, "text_only", twin=True))
        name = f"text_only - text_only on {case.twin.name}"
        yield one_comparison(name, signal, "control: text carries meaning beyond an identity code")


C8 = Claim(
    "C8",
    "No gain of C3-C7 exceeds the same gain on the dataset's twin whose texts are permuted among the items.",
    "Five gains: of C3 (over the fusion with the best validation Hits@20 on the real dataset), C4, C5,"
    " C6 and C7, each on the real dataset minus on the twin, sessions paired. Refuted where at least "
    "one excess is significantly positive (Bonferroni over the five, the first step of Holm; this is "
    "looked at first); else supported where all five are significantly below +0.5 points (largest p of"
    " the five).",
    ("alterrec", "alterrec_aug", "alterrec_random", "late_ensemble", "id_only", *FUSIONS),
    check_c8,
    twin=True,
)

CLAIMS = (C1, C2, C3, C4, C5, C6, C7, C8)


def findings(real: Outcomes, twin: Outcomes | None, notes: list[str]) -> pd.DataFrame:
    """Every claim on one dataset, uncorrected, in every scope and metric; components in the primary only."""
    warm, rows = np.unique(real.bin[real.bin > 0]), []
    ends = (int(warm[0]), int(warm[-1])) if len(warm) else (0, 0)
    for scope in SCOPES:
        for metric in METRICS:
            case = Case(real, twin, *ends, scope, metric)
            primary = (scope, metric) == (SCOPES[0], METRICS[0])
            for claim in CLAIMS:
                missing = claim.missing(case)
                found = [Finding("", note=missing)] if missing else list(claim.check(case))
                rows += [
                    row(claim, case, one, notes) | {"primary": primary and own, "_own": own}
                    for own, one in zip([True] + [False] * len(found), found, strict=False)
                    if own or primary
                ]
    return pd.DataFrame(rows)


def row(claim: Claim, case: Case, one: Finding, notes: list[str]) -> dict:
    return {
        "claim": claim.name,
        "dataset": case.real.name,
        "statement": one.statement or claim.statement,
        "rule": claim.rule,
        "comparison": one.comparison,
        "scope": case.scope,
        "metric": case.metric,
        "primary": False,
        "difference": one.difference,
        "low": one.low,
        "high": one.high,
        "p": one.p,
        "verdict": one.leads_to,
        "note": "; ".join(filter(None, (one.note, *notes))),
    }


def claims_table(found: list[pd.DataFrame]) -> pd.DataFrame:
    """The findings of all datasets with Holm's correction over claims x datasets and the verdicts.

    A component's or control's verdict is about its own statement and by its own uncorrected p; it is not in
    the family.
    """
    table = pd.concat(found, ignore_index=True)
    table.insert(table.columns.get_loc("p") + 1, "p_holm", np.nan)
    own = table["_own"]
    for _, rows in table[own].groupby(["scope", "metric"]).groups.items():
        table.loc[rows, "p_holm"] = adjust(table.loc[rows, "p"], "holm")
    decided = table["p_holm"].where(own, table["p"]) <= LEVEL
    table["verdict"] = table["verdict"].where(decided, "undecided")
    return table.drop(columns="_own")
