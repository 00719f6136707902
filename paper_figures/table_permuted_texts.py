"""Real texts beside texts permuted among the items: what each model owes to the meaning of the text."""

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
        "Test Hits@20 over all prefixes, in percent (mean ± standard deviation over seeds), on each "
        "dataset and on its twin, whose texts are permuted among the items. The difference of text only is "
        "the semantic signal of the text. Intervals hold session and seed variance together, sessions paired; a "
        "model with one seed has none."
    )
    notes = [
        *([] if twins else ["No dataset of this study has a twin."]),
        *study.remarks(),
        *study.absent(["text_only"]),
    ]
    empty = pd.DataFrame(
        columns=["dataset", "model", "_label", "real", "permuted", "difference", "ci_low", "ci_high"]
    )
    frame = pd.concat(frames, ignore_index=True) if frames else empty
    write(Table("table_permuted_texts", caption, frame, COLUMNS, notes), out)


def compared(study: Study, dataset: str, twin: str) -> pd.DataFrame:
    """Rows of one dataset that its twin has too."""
    real = study.scores(dataset, {"real": {}})
    permuted = study.scores(twin, {"permuted": {}})[["model", "permuted", "permuted_sd"]]
    table = real.merge(permuted, on="model", how="inner")
    tested = study.read("permuted").rename(columns={"low": "ci_low", "high": "ci_high"})
    tested = tested[(tested.dataset == dataset) & (tested.twin == twin)]
    table = table.merge(tested[["model", "difference", "ci_low", "ci_high"]], on="model", how="left")
    return table.assign(_section=study.dataset_label(dataset))


if __name__ == "__main__":
    run(main, __doc__)
