"""What each model owes to the meaning of the texts: its score with the real texts minus with texts permuted among items."""

import pandas as pd

from alterrec.analysis.outcomes import Outcomes
from alterrec.analysis.statistics import compare
from alterrec.analysis.summary_schema import COLUMNS


def permuted_table(real: Outcomes, twin: Outcomes) -> pd.DataFrame:
    """Test Hits@20 on `real` minus on its twin for every model that ran on both, with question (ii)'s 95 % interval and p.

    The two differ in who has which text only, so sessions are paired. A permuted text is still a vector of the item's own
    from which a model can learn the item: for text_only the difference is the semantic signal of the text.
    """
    rows = []
    for model in real.models:
        if model in real and model in twin:
            one = compare(real.sums(model), twin.sums(model)).method
            row = {"dataset": real.name, "twin": twin.name, "model": model, "difference": one.value}
            rows.append(row | dict(zip(("low", "high"), one.interval(), strict=True)) | {"p": one.p})
    return pd.DataFrame(rows, columns=COLUMNS["permuted"])
