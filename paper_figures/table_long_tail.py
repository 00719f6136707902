"""Hits@20 by popularity bin of the target, and the relative gains over ID only and the best fusion."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, in_order, run, select
from _table_writer import Column, Table, write

VALUES = {
    "value": "Hits@20 (%)",
    "gain_over_id_only": "relative gain over ID only (%)",
    "gain_over_best_fusion": "relative gain over the best fusion (%)",
}


def main(study: Study, out: Path) -> None:
    tail = select(study.tail, metric="Hits")
    tail = tail[tail.dataset.isin(study.real_datasets) & (tail.model.map(study.role) == 1)]
    bins = sorted(tail.bin.unique())
    frames = [wide(study, tail, dataset, value) for dataset in study.real_datasets for value in VALUES]
    frame = pd.concat(frames, ignore_index=True)
    columns = [Column("_label", "Model", "text")] + [
        Column(f"bin_{b:.0f}", name(b, bins), best=1) for b in bins
    ]
    caption = (
        "Test Hits@20 over all prefixes by how often the target occurs in the training sessions, and "
        "relative gains. A gain over a reference of nothing is not defined (–). Best in bold, second "
        "underlined."
    )
    notes = [
        *ranges(study, tail),
        "95 % intervals are in the CSV file and in the long-tail figure.",
        *study.remarks(),
        *study.absent(["id_only"]),
    ]
    write(Table("table_long_tail", caption, frame, columns, notes), out)


def wide(study: Study, tail: pd.DataFrame, dataset: str, value: str) -> pd.DataFrame:
    """Rows = models, columns = bins, of one value on one dataset."""
    values = [value, "low", "high"] if value == "value" else [value]
    table = select(tail, dataset=dataset).pivot(index="model", columns="bin", values=values)
    table.columns = [f"bin_{number:.0f}" + {value: ""}.get(key, f"_{key}") for key, number in table.columns]
    table = in_order(table.reset_index().assign(dataset=dataset, quantity=value), study)
    labels = pd.Series([study.label(model) for model in table.model], dtype=object)
    fusion = study.best_fusion(dataset)
    title = VALUES[value].replace("the best fusion", study.label(fusion) if fusion else "the best fusion")
    return table.assign(_label=labels, _section=f"{study.dataset_label(dataset)}, {title}")


def name(number: int, bins: list[int]) -> str:
    if number == 0:
        return "Cold"
    return f"{number:.0f}" + {1: " (rarest)", max(bins): " (most frequent)"}.get(number, "")


def ranges(study: Study, tail: pd.DataFrame) -> list[str]:
    """What the bins of each dataset hold."""
    told = []
    for dataset in study.real_datasets:
        bins = select(tail, dataset=dataset).drop_duplicates("bin").sort_values("bin")
        parts = [
            (
                "cold: none"
                if row.bin == 0
                else f"bin {row.bin:.0f}: {row.low_count:,.0f}–{row.high_count:,.0f}"
            )
            + f" ({row.instances:,.0f} instances)"
            for row in bins.itertuples()
        ]
        told += (
            [f"Occurrences of the target on {study.dataset_label(dataset)}: {'; '.join(parts)}."]
            if parts
            else []
        )
    return told


if __name__ == "__main__":
    run(main, __doc__)
