"""Hits@20 by popularity bin of the target, and the relative gains over ID only and over the best naive fusion."""

from pathlib import Path

import pandas as pd
from _summary_folder import Study, bin_range, run, select, sort_rows
from _table_writer import Column, Table, write

VALUES = {
    "value": "Hits@20 (%)",
    "gain_over_id_only": "relative gain over ID only (%)",
    "gain_over_best_fusion": "relative gain over the best fusion (%)",
}


def main(study: Study, out: Path) -> None:
    tail = select(study.long_tail, metric="Hits")
    tail = tail[tail.dataset.isin(study.real_datasets) & (tail.model.map(study.role) == 1)]
    bins = sorted(tail.bin.unique())
    frames = [wide(study, tail, dataset, value) for dataset in study.real_datasets for value in VALUES]
    frame = pd.concat(frames, ignore_index=True)
    columns = [Column("_label", "Model", "text")] + [
        Column(f"bin_{b:.0f}", bin_title(b, bins), best=1) for b in bins
    ]
    caption = (
        "Long tail: test Hits@20 over all prefixes by how often the target occurs in the training sessions, and "
        "relative gains. Where the reference is 0 the gain is not defined (–). Best in bold, second underlined."
    )
    notes = [
        *bin_ranges(study, tail),
        "95 % intervals are in the CSV file and in the long-tail figure.",
        *study.data_notes(),
        *study.ensemble_notes(tail.model),
        *study.missing_models(["id_only"]),
    ]
    write(Table("table_long_tail", caption, frame, columns, notes), out)


def wide(study: Study, tail: pd.DataFrame, dataset: str, value: str) -> pd.DataFrame:
    """One value on one dataset: a row per model, a column per bin."""
    values = [value, "low", "high"] if value == "value" else [value]
    table = select(tail, dataset=dataset).pivot(index="model", columns="bin", values=values)
    table.columns = [f"bin_{number:.0f}" + {value: ""}.get(key, f"_{key}") for key, number in table.columns]
    table = sort_rows(table.reset_index().assign(dataset=dataset, quantity=value), study)
    labels = pd.Series([study.label(model) for model in table.model], dtype=object)
    fusion = study.best_fusion(dataset)
    title = VALUES[value].replace("the best fusion", study.label(fusion) if fusion else "the best fusion")
    return table.assign(_label=labels, _section=f"{study.dataset_label(dataset)}, {title}")


def bin_title(number: int, bins: list[int]) -> str:
    if number == 0:
        return "Cold"
    return f"{number:.0f}" + {1: " (rarest)", max(bins): " (most frequent)"}.get(number, "")


def bin_ranges(study: Study, tail: pd.DataFrame) -> list[str]:
    """A sentence per dataset with the range of counts and the number of instances of each bin."""
    sentences = []
    for dataset in study.real_datasets:
        bins = select(tail, dataset=dataset).drop_duplicates("bin").sort_values("bin")
        parts = [
            ("cold: none" if row.bin == 0 else f"bin {row.bin:.0f}: {bin_range(row)}")
            + f" ({row.instances:,.0f} instances)"
            for row in bins.itertuples()
        ]
        sentences += (
            [f"Occurrences of the target on {study.dataset_label(dataset)}: {'; '.join(parts)}."]
            if parts
            else []
        )
    return sentences


if __name__ == "__main__":
    run(main, __doc__)
