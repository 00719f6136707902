"""What each model gains from the meaning of the texts: its score with the real texts minus that with permuted texts."""

import pandas as pd

from alterrec.analysis.summary_schema import COLUMNS
from alterrec.inference.outcomes import Outcomes
from alterrec.inference.statistics import compare


def permuted_table(real: Outcomes, twin: Outcomes) -> pd.DataFrame:
    """Test Hits@20 on `real` minus that on its twin, for every model that ran on both.

    The interval (95 %) and p answer question (ii). Only the assignment of texts to items differs between the two, so
    sessions are paired. A permuted text still gives each item a vector of its own, from which a model can learn to
    recognise the item. For text_only the difference is therefore the semantic signal of the texts.
    """
    rows = []
    for model in real.models:
        if model in real and model in twin:
            estimate = compare(real.sums(model), twin.sums(model)).method
            low, high = estimate.interval()
            row = {"dataset": real.name, "twin": twin.name, "model": model}
            rows.append(row | {"difference": estimate.value, "low": low, "high": high, "p": estimate.p})
    return pd.DataFrame(rows, columns=COLUMNS["permuted"])
