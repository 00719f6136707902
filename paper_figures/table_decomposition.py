"""AlterRec's lead over the late ensemble, taken apart: the loss, the choice of the epoch, the exchange of predictions."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run, select
from _table_writer import Column, Table, write

LOSS = "loss: sampled instead of full softmax"
CHOICE = "choice of the epoch: joint instead of separate"
EXCHANGE = "exchange: hard negatives from the other network"
FIRST, OTHER = "Loss, then choice, then exchange", "Loss, then exchange, then choice"
STEPS = [  # order of the steps, what changes, the model after the step, the model before it
    (FIRST, LOSS, "late_ensemble_sampled", "late_ensemble"),
    (FIRST, CHOICE, "alterrec_random", "late_ensemble_sampled"),
    (FIRST, EXCHANGE, "alterrec", "alterrec_random"),
    (OTHER, EXCHANGE, "alterrec_separate", "late_ensemble_sampled"),
    (OTHER, CHOICE, "alterrec", "alterrec_separate"),
    ("Sum of the three steps", "all of them", "alterrec", "late_ensemble"),
]
COLUMNS = [
    Column("order", "Order", "text"),
    Column("step", "Step", "text"),
    Column("_label", "Difference of", "text"),
    Column("difference", "Points", "points"),
    Column("ci", "95 % interval", "interval"),
    Column("p", "p", "p"),
]


def main(study: Study, out: Path) -> None:
    frame = pd.concat([steps_on(study, dataset) for dataset in study.real_datasets], ignore_index=True)
    caption = (
        "AlterRec's lead over the late ensemble in steps that are named after their main difference: every model has the "
        "settings that its own tuning chose, so learning rate, dropout and the number of negatives may differ, too. "
        "Test Hits@20 over all prefixes, in percentage points. The first three steps add up to the last row. The two in "
        "between take the last two steps in the other order. Intervals and p include the variance over sessions and over "
        "seeds; p is not corrected."
    )
    models = list(dict.fromkeys(model for *_, after, before in STEPS for model in (before, after)))
    notes = [*study.data_notes(), *study.ensemble_notes(models), *study.missing_models(models)]
    write(Table("table_decomposition", caption, frame, COLUMNS, notes), out)


def steps_on(study: Study, dataset: str) -> pd.DataFrame:
    """A row per step on one dataset; a step whose models were not tested is empty."""
    tests = select(study.significance, dataset=dataset, scope="all", metric="Hits")
    tests = tests.set_index(["model_a", "model_b"])[["difference", "low", "high", "p"]]
    steps = pd.DataFrame(STEPS, columns=["order", "step", "model", "before"])
    frame = steps.join(tests, on=["model", "before"])
    frame = frame.rename(columns={"low": "ci_low", "high": "ci_high"})
    labels = [f"{study.label(row.model)} − {study.label(row.before)}" for row in frame.itertuples()]
    return frame.assign(dataset=dataset, _label=labels, _section=study.dataset_label(dataset))


if __name__ == "__main__":
    run(main, __doc__)
