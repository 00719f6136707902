"""The rule of every claim gives the right verdict on planted outcomes: supported, refuted or undecided."""

import numpy as np
import pandas as pd
import pytest

from alterrec.inference.claims import (
    CLAIMS,
    EXCESS_MARGINS,
    FUSIONS,
    ID_PART_MARGIN,
    LATE_ENSEMBLES,
    REVISED,
    claims_table,
    findings,
)
from alterrec.inference.outcomes import METRICS, Outcomes
from alterrec.inference.statistics import LEVEL
from tests.unit.planted_runs import MODELS

SESSIONS, PREFIXES, BINS = 3000, 4, 5
EQUAL_RATES = {model: 0.17 for model in MODELS}


def outcomes(
    rates: dict, name: str = "d", seeds: int = 3, parts: dict | None = None, seed: int = 0
) -> Outcomes:
    """The outcomes of models that hit at these rates. A rate is one number, or one for each popularity bin 1..5.

    Hits of different models coincide as far as the rates allow, except on a random tenth of the instances.
    """
    random = np.random.default_rng(seed)
    total = SESSIONS * PREFIXES
    instances = pd.DataFrame(
        {
            "split": "test",
            "session": np.repeat(np.arange(SESSIONS, dtype=np.int32), PREFIXES),
            "position": np.tile(np.arange(1, PREFIXES + 1, dtype=np.int32), SESSIONS),
            "target": random.integers(0, BINS, total).astype(np.int32),
        }
    )
    instances["last"] = instances["position"] == PREFIXES
    planted = Outcomes(name, instances, np.arange(1, BINS + 1), MODELS)
    common = random.random(total)
    for (model, part), rate in ({(m, "model"): r for m, r in rates.items()} | (parts or {})).items():
        rate = np.broadcast_to(rate, BINS)[instances["target"]]
        for k in range(seeds):
            own = np.where(random.random(total) < 0.1, random.random(total), common)
            hits = (own < rate).astype(float)
            planted.values.setdefault((model, part), {})[k] = np.stack([hits, 0.5 * hits], axis=1)
            planted.validation.setdefault(model, {})[k] = rates[model] if np.isscalar(rates[model]) else 0.2
    return planted


def verdicts(rates: dict, twin: dict | None = None, **planted) -> pd.DataFrame:
    """The primary row of each claim."""
    real = outcomes(EQUAL_RATES | rates, **planted)
    other = outcomes(EQUAL_RATES | twin, "d-permuted", seed=9) if twin is not None else None
    table = claims_table([findings(real, other, [])])
    return table[table["primary"]].set_index("claim")


def test_every_claim_has_a_rule_and_one_primary_row_per_dataset():
    table = claims_table([findings(outcomes(EQUAL_RATES), None, ["a note"])])
    assert (
        table[table["primary"]].claim.tolist()
        == [claim.name for claim in CLAIMS]
        == [f"C{i}" for i in range(1, 9)]
    )
    assert (table["rule"].str.len() > 40).all()
    assert table["note"].str.contains("a note").all()
    assert not table["primary"][(table["scope"] != "all") | (table["metric"] != "Hits")].any()
    assert set(table["verdict"]) <= {"supported", "refuted", "undecided", "not tested"}
    for scope in ("all", "last"):
        for metric in METRICS:
            own = table[
                (table.scope == scope) & (table.metric == metric) & ~table.statement.str.contains(": ")
            ]
            assert set(own.claim) == {claim.name for claim in CLAIMS}


def test_c1_is_decided_by_the_fusion_that_validation_prefers():
    rates = dict(zip(FUSIONS, (0.25, 0.22, 0.3, 0.14), strict=True))
    found = verdicts(rates).loc["C1"]
    assert (found.verdict, found.comparison) == ("refuted", "fusion_gate - id_only")
    assert 0 < found.low < found.difference
    found = verdicts({"text_only": 0.2} | dict(zip(FUSIONS, (0.1, 0.1, 0.1, 0.14), strict=True))).loc["C1"]
    assert (found.verdict, found.comparison) == ("supported", "fusion_score - text_only")
    assert found.difference < found.high < 0
    assert verdicts(dict.fromkeys(FUSIONS[:3], 0.1)).loc["C1", "verdict"] == "undecided", (
        "fusion_score is equal"
    )


def test_one_bad_fusion_of_four_supports_only_a_component_of_c1():
    rates = EQUAL_RATES | dict(zip(FUSIONS, (0.25, 0.22, 0.3, 0.14), strict=True))
    table = claims_table([findings(outcomes(rates), None, [])])
    one = table[table.statement == "component: at least one of the four naive fusions is worse"].iloc[0]
    assert (one.verdict, one.comparison) == ("supported", "fusion_score - id_only")
    assert not one.primary


PARTS = {("fusion_score", "id"): 0.17, ("fusion_score", "text"): 0.12}


def test_c2_needs_a_worse_text_part_and_an_equal_id_part():
    assert verdicts({}, parts=PARTS, seeds=10).loc["C2", "verdict"] == "supported"


def test_c2_is_refuted_by_an_id_part_outside_the_margin():
    found = verdicts({}, parts=PARTS | {("fusion_score", "id"): 0.12}).loc["C2"]
    assert (found.verdict, found.comparison) == ("refuted", "ID part of fusion_score - id_only")
    assert found.high < -ID_PART_MARGIN


def test_c2_is_refuted_by_a_better_text_part():
    found = verdicts({}, parts=PARTS | {("fusion_score", "text"): 0.22}).loc["C2"]
    assert (found.verdict, found.comparison) == ("refuted", "text part of fusion_score - text_only")
    assert found.low > 0


def test_c2_is_undecided_if_the_id_part_is_near_the_margin():
    found = verdicts({}, parts=PARTS | {("fusion_score", "id"): 0.17 - ID_PART_MARGIN}).loc["C2"]
    assert found.verdict == "undecided"


def test_c2_is_not_tested_without_the_ranks_of_the_parts():
    found = verdicts({}).loc["C2"]
    assert found.verdict == "not tested"
    assert "the ranks of the id part" in found.note


def test_c3_is_supported_only_if_every_fusion_is_beaten():
    found = verdicts({"alterrec": 0.25, "fusion_gate": 0.21}).loc["C3"]
    assert (found.verdict, found.comparison) == ("supported", "alterrec - fusion_gate")
    assert verdicts({"alterrec": 0.21, "fusion_gate": 0.21}).loc["C3", "verdict"] == "undecided"
    found = verdicts({"alterrec": 0.21, "fusion_gate": 0.26}).loc["C3"]
    assert (found.verdict, found.comparison) == ("refuted", "alterrec - fusion_gate")
    assert found.high < 0


@pytest.mark.parametrize(
    ("claim", "better", "worse"),
    [
        ("C4", "alterrec_aug", "alterrec"),
        ("C6", "alterrec", "alterrec_random"),
        ("C7", "alterrec", "late_ensemble"),
    ],
)
def test_c4_c6_and_c7_are_decided_by_a_two_sided_test(claim, better, worse):
    found = verdicts({better: 0.23}).loc[claim]
    assert (found.verdict, found.comparison) == ("supported", f"{better} - {worse}")
    assert verdicts({worse: 0.23}).loc[claim, "verdict"] == "refuted"
    assert verdicts({}).loc[claim, "verdict"] == "undecided"


@pytest.mark.parametrize("preferred", LATE_ENSEMBLES)
def test_c7_compares_with_the_late_ensemble_that_validation_prefers(preferred):
    found = verdicts({"alterrec": 0.25, preferred: 0.2}).loc["C7"]
    assert (found.verdict, found.comparison) == ("supported", f"alterrec - {preferred}")


def test_c7_says_if_a_late_ensemble_did_not_run():
    rates = {model: rate for model, rate in EQUAL_RATES.items() if model != "late_ensemble_sampled"}
    found = findings(outcomes(rates), None, []).set_index("claim").loc["C7"].iloc[0]
    assert (found.comparison, found.note) == ("alterrec - late_ensemble", "not run: late_ensemble_sampled")


def test_c5_compares_the_gain_on_the_rarest_bin_with_that_on_the_most_frequent():
    on_tail, on_head = (0.3, 0.2, 0.2, 0.2, 0.17), (0.17, 0.2, 0.2, 0.2, 0.3)
    assert verdicts({"alterrec": on_tail}).loc["C5", "verdict"] == "supported"
    assert verdicts({"alterrec": on_head}).loc["C5", "verdict"] == "refuted"
    found = verdicts({"alterrec": 0.25}).loc["C5"]
    assert found.verdict == "undecided"
    assert abs(found.difference) < 0.03


GAINS = {"alterrec": 0.25, "alterrec_aug": 0.3, "late_ensemble": 0.2}


def test_c8_is_refuted_by_a_gain_that_only_the_real_texts_give():
    found = verdicts(GAINS, twin={}).loc["C8"]
    assert found.verdict == "refuted"
    assert found.low > 0
    assert "the same on d-permuted" in found.comparison


def test_c8_is_supported_if_every_gain_is_larger_on_the_twin():
    twin = {"alterrec": 0.25, "alterrec_aug": 0.35}
    found = verdicts({"alterrec_aug": 0.17}, twin=twin).loc["C8"]
    assert found.verdict == "supported"
    assert found.high < min(EXCESS_MARGINS.values())


def test_c8_is_not_decided_by_the_gain_on_the_tail():
    on_tail, on_head = (0.3, 0.2, 0.2, 0.2, 0.17), (0.17, 0.2, 0.2, 0.2, 0.3)
    found = verdicts({"alterrec": on_tail}, twin={"alterrec": on_head}).loc["C8"]
    assert found.verdict == "undecided"
    assert not found.comparison.startswith("C5")


def test_every_margin_of_c8_counts(monkeypatch):
    twin, models = {"alterrec": 0.2, "alterrec_aug": 0.25}, {"alterrec": 0.2, "alterrec_aug": 0.25}
    monkeypatch.setattr("alterrec.inference.claims.EXCESS_MARGINS", dict.fromkeys(EXCESS_MARGINS, 0.2))
    assert verdicts(models, twin=twin).loc["C8", "verdict"] == "supported"
    monkeypatch.setattr("alterrec.inference.claims.EXCESS_MARGINS", EXCESS_MARGINS | {"C6": 1e-4})
    assert verdicts(models, twin=twin).loc["C8", "verdict"] == "undecided"


def test_c8_is_undecided_if_the_gains_are_equal_and_noisy():
    assert verdicts(GAINS, twin=GAINS).loc["C8", "verdict"] == "undecided"


def test_c8_is_not_tested_without_a_twin_or_if_the_sessions_differ():
    assert "no twin" in verdicts({}).loc["C8", "note"]
    twin = outcomes(EQUAL_RATES, "d-permuted")
    twin.sessions = twin.sessions + 1
    found = claims_table([findings(outcomes(EQUAL_RATES), twin, [])])
    assert (
        found[found.claim == "C8"]
        .note.str.contains("test sessions of d-permuted differ from those of d")
        .all()
    )


def test_rules_that_were_changed_after_seeing_data_say_so():
    assert [claim.name for claim in CLAIMS if REVISED in claim.rule] == ["C1", "C2", "C7", "C8"]


def test_c8_needs_the_preferred_late_ensemble_on_the_twin_too():
    real = outcomes(EQUAL_RATES | {"late_ensemble_sampled": 0.2})
    rates = {model: rate for model, rate in EQUAL_RATES.items() if model != "late_ensemble_sampled"}
    twin = outcomes(rates, "d-permuted", seed=9)
    found = findings(real, twin, []).set_index("claim").loc["C8"]
    assert found["note"].iloc[0] == "not run: late_ensemble_sampled on d-permuted"
    found = findings(outcomes(rates), twin, []).set_index("claim").loc["C8"]
    assert "C7: (alterrec - late_ensemble) - the same on d-permuted" in set(found["comparison"])


def with_budgets(planted: Outcomes, **updates: int) -> Outcomes:
    """The outcomes with networks of 300 updates, or as many as are stated for a model."""
    for model, seed in planted.runs():
        network = {"network": ["joint"], "updates": updates.get(model, 300), "labels": 9000}
        planted.budgets[model, seed] = pd.DataFrame(network | {"best_epoch": 9.0, "treated_epoch": 5.0})
    return planted


def test_unequal_budgets_leave_the_claims_that_compare_them_and_their_components_undecided():
    rates = EQUAL_RATES | {"alterrec": 0.23}
    equal, unequal = (
        claims_table([findings(with_budgets(outcomes(rates), **updates), None, [])])
        for updates in ({"alterrec": 303}, {"fusion_sum": 200})
    )
    assert equal[equal["primary"]].set_index("claim").loc[["C3", "C6", "C7"], "verdict"].eq("supported").all()
    assert unequal.loc[unequal["claim"].isin(["C1", "C3"]), "verdict"].eq("undecided").all()
    primary = unequal[unequal["primary"]].set_index("claim")
    assert "updates of the ID networks differ: 200 (fusion_sum on d) to 300" in primary.loc["C3", "note"]
    assert primary.loc["C3", "p_holm"] < LEVEL, "the comparison itself is shown as it is"
    assert primary.loc[["C6", "C7"], "verdict"].eq("supported").all()


def test_c8_needs_equal_budgets_on_the_twin_too():
    real = with_budgets(outcomes(EQUAL_RATES))
    twin = with_budgets(outcomes(EQUAL_RATES, "d-permuted", seed=9), alterrec_random=100)
    found = findings(real, twin, []).set_index("claim")
    assert "100 (alterrec_random on d-permuted) to 300" in found.loc["C8", "note"].iloc[0]
    assert found.loc["C6", "note"].iloc[0] == ""


def test_a_claim_whose_models_did_not_run_names_them_and_is_not_tested():
    rates = {model: 0.17 for model in MODELS if model not in ("alterrec_aug", "fusion_gate")}
    table = claims_table([findings(outcomes(rates), None, [])])
    primary = table[table["primary"]].set_index("claim")
    assert primary.loc["C4", "note"] == "not run: alterrec_aug"
    assert primary.loc["C3", "note"] == primary.loc["C1", "note"] == "not run: fusion_gate"
    assert (primary.loc[["C1", "C3", "C4"], "verdict"] == "not tested").all()
    assert primary.loc[["C1", "C3", "C4"], "p_holm"].isna().all()


def test_every_claim_is_undecided_with_one_seed():
    table = verdicts(GAINS, twin={}, seeds=1)
    assert (table["verdict"].drop("C2") == "undecided").all(), "C2 needs the ranks of the parts"
    assert table["p"].isna().all()
    assert table.loc[["C3", "C7", "C8"], "note"].str.contains("one seed").all()


def test_holm_corrects_over_claims_and_datasets():
    weak = {"alterrec": 0.185}
    found = [findings(outcomes(EQUAL_RATES | weak, f"d{i}", seed=i), None, []) for i in range(3)]
    table = claims_table(found)
    primary = table[table["primary"]]
    assert (primary["p_holm"] >= primary["p"]).loc[primary["p"].notna()].all()
    smallest = primary.loc[primary["p"].idxmin()]
    assert smallest.p_holm == pytest.approx(min(1, smallest.p * primary["p"].notna().sum()))


def test_the_interval_excludes_zero_exactly_if_p_is_at_most_the_level():
    for rates in (GAINS, {"alterrec": 0.175}, {"fusion_sum": 0.18, "fusion_gate": 0.16}):
        table = findings(outcomes(EQUAL_RATES | rates), None, [])
        rows = table[table.claim.isin(["C1", "C3", "C4", "C5", "C6", "C7"])]
        excludes_zero = (rows.low > 0) | (rows.high < 0)
        assert (excludes_zero == (rows.p <= LEVEL)).all()


def test_controls_have_rows_but_are_not_part_of_the_corrected_family():
    twin = outcomes(EQUAL_RATES, "d-permuted", seed=9)
    table = claims_table([findings(outcomes(EQUAL_RATES | {"text_only": 0.25}), twin, [])])
    control = table[table["statement"].str.startswith(("control", "component"))]
    assert not control["primary"].any()
    assert control["p_holm"].isna().all()
    assert control[control.comparison == "text_only - text_only on d-permuted"].verdict.item() == "supported"
    assert {"id_ensemble - id_only", "alterrec - id_ensemble"} <= set(control.comparison)
