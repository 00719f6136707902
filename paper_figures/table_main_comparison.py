"""Main comparison: every model on every dataset, on all prefixes and on the last item, with floor and ceiling."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run, select
from _table_writer import Column, Table, write
from _tuning_record import record

METRICS = [("Hits", 10), ("Hits", 20), ("NDCG", 10), ("NDCG", 20), ("MRR", 20)]
SCOPES = {"all": "All prefixes", "last": "Last item only"}
WANTED = {f"{m}@{k}_{scope}": {"scope": scope, "metric": m, "k": k} for scope in SCOPES for m, k in METRICS}
COLUMNS = [Column("_label", "Model", "text")] + [
    Column(key, key.split("_")[0], group=SCOPES[where["scope"]], best=1) for key, where in WANTED.items()
]
SPENT = [
    Column("trials", "Trials", "count", "Spent"),
    Column("steps", "Optimiser steps", "count", "Spent"),
    Column("seconds", "Seconds", "count", "Spent"),
]


def main(study: Study, out: Path) -> None:
    frame = pd.concat(
        [scored(study, dataset).join(spent(study, dataset), on="model") for dataset in study.real_datasets],
        ignore_index=True,
    )
    fusions = [
        f"{study.label(f)} on {study.dataset_label(d)}"
        for d in study.real_datasets
        if (f := study.best_fusion(d))
    ]
    caption = (
        "Main comparison: ranking of the whole catalogue on the test split, in percent (mean ± standard deviation "
        "over seeds). Best in bold, second underlined; floor and ceiling rows are left out of that."
    )
    notes = [
        "†: differs from the late ensemble; ‡: differs from the best naive fusion "
        f"({'; '.join(fusions) or 'none'}), at p < {study.level} (variance over sessions and seeds, Holm-corrected "
        "over the pairs of one dataset, scope and metric). Tests were made on Hits@20 and NDCG@20: AlterRec against "
        "every model but the oracle, published baselines against the late ensemble that validation prefers, naive fusions "
        "against the single networks and the late ensemble, and controls that differ in one respect against each other. "
        "Other pairs and metrics were not tested and have no mark.",
        "Trials: how many settings were tried on validation. A model without trials of its own has the settings of its "
        "networks or of the model that it varies, or its defaults. Optimiser steps and seconds of training: those of all "
        "its networks, means over seeds. Seconds depend on the machine and on what else ran there, so they are no benchmark.",
        *study.data_notes(),
        *study.ensemble_notes(frame.model),
        *study.missing_models(["late_ensemble", "alterrec", "alterrec_aug"]),
    ]
    write(Table("table_main_comparison", caption, frame, COLUMNS + SPENT, notes), out)


def scored(study: Study, dataset: str) -> pd.DataFrame:
    """The rows of one dataset with their significance marks."""
    table = study.scores(dataset, WANTED).assign(_section=study.dataset_label(dataset))
    for key, where in WANTED.items():
        marks = pd.Series("", index=table.model)
        for sign, other in (("†", "late_ensemble"), ("‡", study.best_fusion(dataset))):
            marks[marks.index.isin(different_from(study, dataset, where, other))] += sign
        if marks.any():
            table[f"{key}_mark"] = marks.to_numpy()
    return table


def spent(study: Study, dataset: str) -> pd.DataFrame:
    """Index model: the trials of its search, and the optimiser steps and the seconds of a run with its members."""
    budgets = select(study.read("budgets"), dataset=dataset)
    steps = budgets.groupby(["model", "seed"]).updates.sum().groupby("model").mean()
    tried = record(study)
    trials = tried[tried.dataset == dataset].groupby("model").size()
    seconds = study.cost(dataset).groupby("model").total.mean()
    return pd.DataFrame({"trials": trials, "steps": steps, "seconds": seconds})


def different_from(study: Study, dataset: str, where: dict, other: str | None) -> set[str]:
    """Models with a corrected p against `other` below the level."""
    tests = select(study.significance, dataset=dataset, **where)
    tests = tests[(tests.p_holm < study.level) & ((tests.model_a == other) | (tests.model_b == other))]
    return {*tests.model_a, *tests.model_b} - {other}


if __name__ == "__main__":
    run(main, __doc__)
