"""What a study can show, from the variance that an earlier one has measured: half-widths, power and margins.

A row of the significance table has the standard error under both questions, and the degrees of freedom of question
(ii). They give three components of the variance of a difference, in the terms of `alterrec.inference.statistics`:

    seeds        = Var_ii - Var_i                                              what further seeds reduce
    interaction  = V_seed - seeds, V_seed solved from the degrees of freedom   what both reduce
    sessions     = Var_i - interaction                                         what further sessions reduce

With n seeds instead of k, and m times the sessions,

    Var_i  = (sessions + interaction * k / n) / m
    V_seed = (seeds + interaction / m) * k / n
    Var_ii = Var_i + seeds * k / n

and Satterthwaite's formula gives the degrees of freedom; its squares of V_seed change like the square of V_seed above. For
n = k and m = 1 this returns what was measured. The degrees of freedom give the sum of V_seed^2 of the two models only. For
their sum V_seed, both are taken to be equal, and an interaction above Var_i is cut to it.

The power is that of the two-sided t test at LEVEL, without Holm's correction.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import nct, norm, t

from alterrec.errors import UserError
from alterrec.inference.claims import FUSIONS
from alterrec.inference.significance import LATE_ENSEMBLES
from alterrec.inference.statistics import LEVEL
from alterrec.ranking.rank_file import read_parquet

SEEDS, SESSION_FACTORS = (3, 5, 10, 20), (1, 2, 4)
RIVALS = dict.fromkeys(FUSIONS, "C3") | {"alterrec_random": "C6"} | dict.fromkeys(LATE_ENSEMBLES, "C7")
"""The models with which AlterRec is compared, and the claim that the comparison decides."""
EQUIVALENCE_POWER = 0.8
PRIMARY = {"scope": "all", "metric": "Hits"}


@dataclass(frozen=True)
class Components:
    """The variance of a difference between two models, measured with `k` seeds of each on `count` sessions."""

    sessions: float
    seeds: float
    interaction: float
    squares: float  # the sum of V_seed^2
    k: float
    count: int

    @classmethod
    def measured(cls, row) -> "Components":
        """The components in a row of the significance table."""
        k = 2 / (1 / row.seeds_a + 1 / row.seeds_b)  # a variance falls with 1 / seeds
        var_i, var_ii = row.se_i**2, row.se**2
        squares = max(0.0, (var_ii**2 / row.df - var_i**2 / (row.sessions - 1)) * (k - 1))
        seeds = var_ii - var_i
        interaction = min(max(0.0, np.sqrt(2 * squares) - seeds), var_i)
        return cls(var_i - interaction, seeds, interaction, squares, k, row.sessions)

    def predict(self, seeds: int, session_factor: float = 1) -> tuple[float, float]:
        """Standard error and degrees of freedom with `seeds` seeds and `session_factor` times the sessions."""
        fewer = self.k / seeds
        var_i = (self.sessions + self.interaction * fewer) / session_factor
        var_ii = var_i + self.seeds * fewer
        before, after = (self.seeds + self.interaction / factor for factor in (1, session_factor))
        squares = self.squares * (fewer * after / before) ** 2 if before else 0.0
        denominator = squares / (seeds - 1) + var_i**2 / (self.count * session_factor - 1)
        return float(np.sqrt(var_ii)), float(var_ii**2 / denominator)


def half_width(se: float, df: float) -> float:
    """Half of the width of the interval with confidence 1 - LEVEL."""
    return float(t.ppf(1 - LEVEL / 2, df) * se)


def power(difference: float, se: float, df: float) -> float:
    """The probability that the two-sided test at LEVEL finds a true positive `difference`, with its sign."""
    return float(nct.sf(t.ppf(1 - LEVEL / 2, df), df, difference / se))


def power_table(significance: pd.DataFrame, difference: float) -> pd.DataFrame:
    """Half-width and power against a true `difference` for every comparison of RIVALS, seeds and sessions."""
    rows = []
    tested = significance[(significance[list(PRIMARY)] == pd.Series(PRIMARY)).all(axis=1)]
    tested = tested[(tested["model_a"] == "alterrec") & tested["model_b"].isin(RIVALS) & tested["se"].notna()]
    for row in tested.itertuples():
        components = Components.measured(row)
        for seeds, factor in product(SEEDS, SESSION_FACTORS):
            se, df = components.predict(seeds, factor)
            about = {"dataset": row.dataset, "claim": RIVALS[row.model_b], "rival": row.model_b}
            about |= {"seeds": seeds, "sessions": row.sessions * factor}
            rows.append(about | {"half_width": half_width(se, df), "power": power(difference, se, df)})
    return pd.DataFrame(rows)


def pilot_margins(claims: pd.DataFrame) -> pd.DataFrame:
    """The margins of C2 and C8 that follow from a pilot: a half-width, and the margin, both as fractions.

    An excess has the half-width of its gain. The ID part's margin is such that two one-sided tests show equivalence
    with EQUIVALENCE_POWER if there is no difference. Margins are rounded up to 0.1 points.
    """
    claims = claims[(claims[list(PRIMARY)] == pd.Series(PRIMARY)).all(axis=1)]
    gains = claims["primary"] & claims["claim"].isin(["C3", "C4", "C6", "C7"])
    id_part = (claims["claim"] == "C2") & claims["statement"].str.contains("equivalent")
    table = claims.loc[id_part | gains, ["dataset", "claim", "comparison"]]
    table["half_width"] = (claims["high"] - claims["low"]) / 2
    # t_0.9 / t_0.975 is largest for infinitely many degrees of freedom
    factor = 1 + norm.ppf((1 + EQUIVALENCE_POWER) / 2) / norm.ppf(1 - LEVEL / 2)
    needed = table["half_width"] * np.where(table["claim"] == "C2", factor, 1)
    return table.assign(margin=np.ceil(needed.round(9) * 1000) / 1000).dropna().reset_index(drop=True)


def power_report(summary: Path, difference: float) -> str:
    """Both tables of a summary folder as text, in percentage points. UserError if it has none of the comparisons."""
    significance, claims = (
        read_parquet(summary / f"{table}.parquet", "name the summary folder of a study")
        for table in ("significance", "claims")
    )
    table = power_table(significance, difference)
    if table.empty:
        raise UserError(
            f"{summary}: no comparison of alterrec with a fusion, alterrec_random or a late ensemble was tested with two "
            "or more seeds: run these models and summarise the study again"
        )
    lines = [
        f"Half-width of the 95 % interval in points, and power against a difference of {100 * difference:g} points "
        "(5 %, before Holm's correction)"
    ]
    for (dataset, claim, rival), rows in table.groupby(["dataset", "claim", "rival"], sort=False):
        cells = [f"{100 * row.half_width:.2f} ({row.power:.0%})" for row in rows.itertuples()]
        wide = rows.assign(cell=cells).pivot(index="seeds", columns="sessions", values="cell")
        wide.columns = [f"{count:,} sessions" for count in wide.columns]
        lines += ["", f"{dataset}, {claim}: alterrec - {rival}", wide.reset_index().to_string(index=False)]
    margins = pilot_margins(claims)
    margins[["half_width", "margin"]] *= 100
    formats = {"half_width": "{:.2f}".format, "margin": "{:.1f}".format}
    lines += ["", "Margins of C2 and C8 that follow from these runs, in points"]
    return "\n".join([*lines, margins.to_string(index=False, formatters=formats)])
