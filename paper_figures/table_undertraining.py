"""Under-training: the score of each part when trained alone and inside a fusion or a method."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, run, sort_rows
from _table_writer import Column, Table, write

COLUMNS = [
    Column("_label", "Model", "text"),
    Column("_part", "Part", "text"),
    Column("alone", "alone", group="Hits@20"),
    Column("inside", "inside", group="Hits@20"),
    Column("gap", "Gap (points)", "points"),
    Column("ci", "95 % interval", "interval"),
    Column("p", "p", "p"),
]


def main(study: Study, out: Path) -> None:
    gaps = study.read("undertraining").rename(columns={"low": "ci_low", "high": "ci_high"})
    gaps = sort_rows(gaps[gaps.dataset.isin(study.real_datasets)], study, "part")
    gaps = gaps.assign(
        _label=pd.Series(map(study.label, gaps.model), dtype=object),
        _section=gaps.dataset.map(study.dataset_label),
    )
    gaps["_part"] = gaps.part.map({"id": "ID", "text": "text"})
    caption = (
        "Under-training: test Hits@20 over all prefixes, in percent, of each part when trained alone and inside a "
        "fusion or a method. The gap is alone minus inside, in percentage points. Its 95 % interval includes the "
        "variance over sessions and over seeds."
    )
    notes = [*study.data_notes(), *study.missing_models(["id_only", "text_only"])]
    write(Table("table_undertraining", caption, gaps, COLUMNS, notes), out)


if __name__ == "__main__":
    run(main, __doc__)
