"""The dataset card: what a reader must know about a prepared dataset before trusting a result on it.

The card is stored as card.json and, for people, as card.md. It holds:

- the source: name, address, citation, licence, and the sha256 of every file that was read;
- whether the dataset is a demo, and whether the order of items in a session is known;
- how the sessions were made: the source's notes, the split, and whether the texts were permuted (a twin);
- the settings of the dataset (`DatasetConfig`);
- counts: what the source read, and how many rows, sessions or items each step of preparation dropped and why;
- counts that the data's publisher states, to compare with;
- statistics of the prepared dataset: items, texts, session lengths, and sessions and instances of every split;
- limits: what the dataset cannot show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alterrec.sources._raw import DatasetConfig, Raw

if TYPE_CHECKING:
    from alterrec.data.dataset import Dataset

FACTS_OF_SOURCE = (  # fields of `Raw` that the card takes over as they are
    "source",
    "url",
    "citation",
    "licence",
    "checksums",
    "demo",
    "order_known",
    "note",
    "limits",
    "official",
)
PERMUTED = (
    "This dataset is a twin: its texts were permuted among its items with a fixed seed. "
    "Except by chance, the text of an item describes another item."
)
STATISTICS = {
    "items": "Items in the catalogue",
    "warm_items": "Warm items (they occur in training sessions)",
    "cold_items": "Cold items (they occur in no training session)",
    "distinct_texts": "Distinct texts",
    "empty_texts": "Items without text",
    "mean_length": "Mean session length in items",
    "longest": "Longest session in items",
}
SPLIT_STATISTICS = {
    "sessions": "Sessions",
    "instances": "Instances (pairs of prefix and target)",
    "cold_targets": "Instances whose target is a cold item",
    "repeated_targets": "Instances whose target is in the prefix",
}


def make_card(raw: Raw, config: DatasetConfig, dataset: Dataset, step_counts: dict[str, int]) -> dict:
    """The card as plain JSON values. `step_counts` is what each step of preparation read or dropped."""
    permuted = config.text_control == "permuted"
    return {
        **{name: getattr(raw, name) for name in FACTS_OF_SOURCE},
        "notes": [*raw.notes, PERMUTED] if permuted else raw.notes,
        "config": config.model_dump(mode="json"),
        "counts": raw.counts | step_counts,
        "statistics": statistics(dataset),
    }


def statistics(dataset: Dataset) -> dict:
    """Counts of items, texts, sessions and instances, and session lengths."""
    lengths = np.diff(dataset.offsets)
    events = pd.DataFrame({"session": np.repeat(np.arange(len(lengths)), lengths), "item": dataset.flat})
    events["split"] = dataset.split[events["session"]]
    events["cold"] = dataset.train_count[events["item"]] == 0
    events["repeated"] = events.duplicated(["session", "item"])
    from_end = events.groupby("session").cumcount(ascending=False).to_numpy()
    targets = events[from_end < dataset.targets[events["session"]]]
    return {
        "items": dataset.catalogue_size,
        "warm_items": int((dataset.train_count > 0).sum()),
        "cold_items": int((dataset.train_count == 0).sum()),
        "distinct_texts": len(set(dataset.text)),
        "empty_texts": int((dataset.text == "").sum()),
        "mean_length": float(lengths.mean()),
        "longest": int(lengths.max()),
        "splits": {
            split: {
                "sessions": int((dataset.split == split).sum()),
                "instances": len(own),
                "cold_targets": int(own["cold"].sum()),
                "repeated_targets": int(own["repeated"].sum()),
            }
            for split in ("train", "validation", "test")
            for own in [targets[targets["split"] == split]]
        },
    }


def card_text(card: dict) -> str:
    """The card as Markdown. A part that `card` lacks is left out."""
    order = (
        "as recorded" if card.get("order_known", True) else "unknown, drawn at random (the same every time)"
    )
    use = (
        "demo: it shows how the suite works and is no evidence about any model" if card.get("demo") else None
    )
    facts = {
        "Source": card.get("source"),
        "Address": card.get("url"),
        "Citation": card.get("citation"),
        "Licence": card.get("licence"),
        "Order of items in a session": order,
        "Use": use,
    }
    files = [f"`{name}` {checksum}" for name, checksum in card.get("checksums", {}).items()]
    settings = [f"{key}: {value}" for key, value in card.get("config", {}).items()]
    lines = [f"# {card.get('source') or 'Dataset'}", ""]
    lines += _table(["", ""], [(name, value) for name, value in facts.items() if value])
    lines += _section("Files read (sha256)", files)
    lines += _section("How the sessions were made", card.get("notes", []))
    lines += _section("Settings", settings)
    lines += _section("What was read and dropped", _count_lines(card.get("counts", {})))
    lines += _section("Counts that the publisher states", _count_lines(card.get("official", {})))
    if "statistics" in card:
        lines += ["", "## Statistics", "", *_statistics_tables(card["statistics"])]
    lines += _section("What this dataset cannot show", card.get("limits", []))
    return "\n".join(lines) + "\n"


def _count_lines(counts: dict[str, int]) -> list[str]:
    return [f"{what}: {_number(count)}" for what, count in counts.items()]


def _statistics_tables(values: dict) -> list[str]:
    overall = _table(["All splits", ""], [(title, _number(values[key])) for key, title in STATISTICS.items()])
    splits = values["splits"]
    rows = [
        (title, *(_number(split[key]) for split in splits.values()))
        for key, title in SPLIT_STATISTICS.items()
    ]
    return [*overall, "", *_table(["Split", *splits], rows)]


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", f"## {title}", "", *(f"- {line}" for line in lines)] if lines else []


def _table(head: list[str], rows: list[tuple]) -> list[str]:
    return [
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"
        for row in (head, ["---"] * len(head), *rows)
    ]


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
