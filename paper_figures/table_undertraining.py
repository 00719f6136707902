"""Under-training: what each part reaches alone and inside a fusion or a method."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, in_order, run
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
    gaps = in_order(gaps[gaps.dataset.isin(study.real_datasets)], study, "part")
    gaps = gaps.assign(
        _label=pd.Series(map(study.label, gaps.model), dtype=object),
        _section=gaps.dataset.map(study.dataset_label),
    )
    gaps["_part"] = gaps.part.map({"id": "ID", "text": "text"})
    caption = (
        "Test Hits@20 over all prefixes, in percent, of each part trained alone and inside a fusion or a "
        "method; the gap is alone minus inside in percentage points, with a 95 % interval (session and seed "
        "variance together)."
    )
    notes = [*study.remarks(), *study.absent(["id_only", "text_only"])]
    write(Table("table_undertraining", caption, gaps, COLUMNS, notes), out)


if __name__ == "__main__":
    run(main, __doc__)
