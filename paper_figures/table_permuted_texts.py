"""Hits@20 with real texts and with texts permuted among the items: how much each model uses what the texts mean."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run
from _table_writer import Column, Table, write

COLUMNS = [
    Column("_label", "Model", "text"),
    Column("real", "real texts", group="Hits@20", best=1),
    Column("permuted", "permuted texts", group="Hits@20", best=1),
    Column("difference", "Difference (points)", "points"),
    Column("ci", "95 % interval", "interval"),
]


def main(study: Study, out: Path) -> None:
    twins = {
        about["twin_of"]: name
        for name, about in study.datasets.items()
        if about.get("twin_of") in study.datasets
    }
    frames = [compared(study, dataset, twin) for dataset, twin in twins.items()]
    caption = (
        "Real and permuted texts: test Hits@20 over all prefixes, in percent (mean ± standard deviation over "
        "seeds), on each dataset and on its twin, whose texts are permuted among the items. The difference of text "
        "only measures how much the meaning of the texts helps. Intervals include the variance over sessions "
        "(paired) and over seeds; a model with one seed has no interval."
    )
    empty = pd.DataFrame(
        columns=["dataset", "model", "_label", "real", "permuted", "difference", "ci_low", "ci_high"]
    )
    frame = pd.concat(frames, ignore_index=True) if frames else empty
    notes = [
        *([] if twins else ["No dataset of this study has a twin."]),
        *study.data_notes(),
        *study.ensemble_notes(frame.model),
        *study.missing_models(["text_only"]),
    ]
    write(Table("table_permuted_texts", caption, frame, COLUMNS, notes), out)


def compared(study: Study, dataset: str, twin: str) -> pd.DataFrame:
    """The models of one dataset that also ran on its twin."""
    real = study.scores(dataset, {"real": {}})
    permuted = study.scores(twin, {"permuted": {}})[["model", "permuted", "permuted_sd"]]
    table = real.merge(permuted, on="model", how="inner")
    tested = study.read("permuted").rename(columns={"low": "ci_low", "high": "ci_high"})
    tested = tested[(tested.dataset == dataset) & (tested.twin == twin)]
    table = table.merge(tested[["model", "difference", "ci_low", "ci_high"]], on="model", how="left")
    return table.assign(_section=study.dataset_label(dataset))


if __name__ == "__main__":
    run(main, __doc__)
