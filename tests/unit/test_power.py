"""The prediction of half-widths and power against simulated studies, and the margins that follow from the pilot."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alterrec.__main__ import main
from alterrec.errors import UserError
from alterrec.inference.claims import EXCESS_MARGINS, ID_PART_MARGIN
from alterrec.inference.power import Components, half_width, pilot_margins, power, power_report, power_table
from alterrec.inference.significance import pair_row
from alterrec.inference.statistics import LEVEL, compare
from tests.unit.planted_runs import two_models

PILOT = Path(__file__).parents[2] / "results" / "reference" / "beauty_pilot" / "summary"
SESSIONS, SEED_SD = 400, 0.006


def components(random: np.random.Generator, seeds: int) -> Components:
    """The components that one planted study of two equal models measures."""
    row, _ = pair_row(*two_models(random, SESSIONS, seeds, SEED_SD))
    return Components.measured(pd.Series(row))


@pytest.mark.parametrize(("seeds", "seed_sd"), [(3, 0.0), (3, 0.03), (8, SEED_SD)])
def test_the_prediction_for_the_same_study_is_what_it_measured(seeds, seed_sd):
    row, _ = pair_row(*two_models(np.random.default_rng(1), SESSIONS, seeds, seed_sd))
    se, df = Components.measured(pd.Series(row)).predict(seeds)
    assert (se, df) == pytest.approx((row["se"], row["df"]))


@pytest.mark.parametrize(("seeds", "factor"), [(3, 1), (10, 1), (3, 4), (10, 4)])
def test_predicted_half_width_and_power_agree_with_simulated_studies(seeds, factor):
    random, difference = np.random.default_rng(seeds * factor), 0.012
    pilots = [components(random, seeds=10).predict(seeds, factor) for _ in range(40)]
    estimates = [
        compare(*two_models(random, SESSIONS * factor, seeds, SEED_SD, difference)).method for _ in range(300)
    ]
    found = np.mean([one.p <= LEVEL and one.value > 0 for one in estimates])
    widths = [np.subtract(*one.interval()[::-1]) / 2 for one in estimates]
    assert np.median([half_width(*one) for one in pilots]) == pytest.approx(np.median(widths), rel=0.12)
    assert np.mean([power(difference, *one) for one in pilots]) == pytest.approx(found, abs=0.08)


def test_more_seeds_and_sessions_narrow_every_interval():
    table = power_table(pd.read_parquet(PILOT / "significance.parquet"), 0.005)
    wide = table.pivot(index=["rival", "seeds"], columns="sessions", values="half_width")
    assert (wide.diff(axis=1).iloc[:, 1:] < 0).all(axis=None)
    by_seeds = table.pivot(index="seeds", columns=["rival", "sessions"], values="half_width")
    assert (by_seeds.diff().iloc[1:] < 0).all(axis=None)
    assert table["power"].between(0, 1).all()


def test_the_margins_of_the_claims_are_those_of_the_pilot():
    margins = pilot_margins(pd.read_parquet(PILOT / "claims.parquet")).set_index("claim")["margin"]
    assert margins["C2"] == pytest.approx(ID_PART_MARGIN)
    of_c8 = {claim: margins[claim] for claim in ("C3", "C6", "C7")}
    assert pytest.approx(of_c8 | {"C4": of_c8["C6"]}) == EXCESS_MARGINS


def test_the_equivalence_margin_has_the_power_that_it_promises():
    random, se = np.random.default_rng(0), 0.3
    for df in (4, 10, 1000):
        claims = pd.read_parquet(PILOT / "claims.parquet").query("claim == 'C2'")
        claims = claims.assign(low=-half_width(se, df), high=half_width(se, df))
        margin = pilot_margins(claims)["margin"].item()
        estimates, ses = se * random.standard_normal(20_000), se * np.sqrt(random.chisquare(df, 20_000) / df)
        inside = np.abs(estimates) + half_width(1, df) * ses < margin
        assert 0.79 <= inside.mean() < 0.9


def test_the_command_prints_a_table_for_each_comparison_and_the_margins(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["alterrec", "power", str(PILOT), "--difference", "0.3"])
    assert main() == 0
    text = capsys.readouterr().out
    assert "power against a difference of 0.3 points" in text
    assert "beauty, C7: alterrec - late_ensemble" in text and "8,948 sessions" in text
    assert "C4           alterrec_aug - alterrec       4.12    4.2" in text


def test_a_summary_without_comparisons_or_without_tables_is_refused(tmp_path):
    with pytest.raises(UserError, match="name the summary folder"):
        power_report(tmp_path, 0.005)
    pd.read_parquet(PILOT / "claims.parquet").to_parquet(tmp_path / "claims.parquet")
    one_seed = pd.read_parquet(PILOT / "significance.parquet").assign(se=np.nan)
    one_seed.to_parquet(tmp_path / "significance.parquet")
    with pytest.raises(UserError, match="two or more seeds"):
        power_report(tmp_path, 0.005)
