"""Dataset statistics: sessions and instances per split, items, distinct texts, mean session length, cold targets."""

from pathlib import Path

from _summary_folder import Study, run
from _table_writer import Column, Table, write

SPLITS = {"train": "train", "validation": "valid.", "test": "test"}
COLUMNS = [
    Column("_label", "Dataset", "text"),
    *[Column(f"sessions_{split}", title, "count", "Sessions") for split, title in SPLITS.items()],
    *[
        Column(f"instances_{split}", title, "count", "Instances (prefixes)")
        for split, title in SPLITS.items()
    ],
    Column("items", "all", "count", "Items"),
    Column("warm_items", "warm", "count", "Items"),
    Column("cold_items", "cold", "count", "Items"),
    Column("distinct_texts", "Texts", "count"),
    Column("mean_length", "Length", "number"),
    Column("cold_test_targets", "Cold test targets", "count"),
]


def main(study: Study, out: Path) -> None:
    data = study.read("datasets").set_index("dataset").reindex(list(study.datasets)).reset_index()
    data["_label"] = data.dataset.map(study.dataset_label)
    caption = (
        "Dataset statistics after filtering. An instance is a prefix with the next item as its target. An item is "
        "cold if it occurs in no training session. Texts: number of distinct item texts. Length: mean number of "
        "items in a session."
    )
    sources = [f"{study.dataset_label(row.dataset)}: {describe(row)}." for row in data.itertuples()]
    write(Table("table_dataset_statistics", caption, data, COLUMNS, sources + study.data_notes()), out)


def describe(row) -> str:
    """Source, licence, twin and note of one dataset as one phrase."""
    twin = isinstance(row.twin_of, str) and row.twin_of
    parts = [
        f"source {row.source}, licence {row.licence}",
        f"twin of {twin}, texts permuted among items" if twin else "",
    ]
    return "; ".join(filter(None, [*parts, row.note if isinstance(row.note, str) else ""])).rstrip(".")


if __name__ == "__main__":
    run(main, __doc__)
