"""A dataset's card: where it is from, how its sessions were made, its statistics and what it cannot show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alterrec.sources._raw import DatasetConfig, Raw

if TYPE_CHECKING:
    from alterrec.data.dataset import Dataset

FACTS = (
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
PERMUTED = "The texts are permuted among the items with a fixed seed: a control whose texts tell nothing."
STATISTICS = {
    "items": "Items in the catalogue",
    "warm_items": "Warm items (in training sessions)",
    "cold_items": "Cold items (in none)",
    "distinct_texts": "Distinct texts",
    "empty_texts": "Items without text",
    "mean_length": "Items in a session, mean",
    "longest": "Items in a session, most",
}
SPLIT_STATISTICS = {
    "sessions": "Sessions",
    "instances": "Instances (prefixes)",
    "cold_targets": "with a cold target",
    "repeated_targets": "with a target in the prefix",
}


def make_card(raw: Raw, config: DatasetConfig, dataset: Dataset, changes: dict[str, int]) -> dict:
    """The card as plain JSON values: the source's facts, settings, what each step dropped, statistics."""
    permuted = config.text_control == "permuted"
    return {
        **{name: getattr(raw, name) for name in FACTS},
        "notes": [*raw.notes, PERMUTED] if permuted else raw.notes,
        "config": config.model_dump(mode="json"),
        "counts": raw.counts | changes,
        "statistics": statistics(dataset),
    }


def statistics(dataset: Dataset) -> dict:
    """Counts of items, texts, sessions and instances (a prefix with the next item as its target)."""
    length = np.diff(dataset.offsets)
    events = pd.DataFrame({"session": np.repeat(np.arange(len(length)), length), "item": dataset.flat})
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
        "mean_length": float(length.mean()),
        "longest": int(length.max()),
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
    """The card as Markdown."""
    facts = {
        "Source": card.get("source"),
        "Address": card.get("url"),
        "Citation": card.get("citation"),
        "Licence": card.get("licence"),
        "Order of items in a session": "as it happened"
        if card.get("order_known", True)
        else "unknown, drawn at random",
        "Use": "demo: shows the suite at work, no evidence" if card.get("demo") else None,
    }
    lines = [
        f"# {card.get('source') or 'Dataset'}",
        "",
        *_table(["", ""], [row for row in facts.items() if row[1]]),
    ]
    lines += _section(
        "Files read (sha256)", [f"`{name}` {digest}" for name, digest in card.get("checksums", {}).items()]
    )
    lines += _section("How the sessions were made", card.get("notes", []))
    lines += _section("Settings", [f"{key}: {value}" for key, value in card.get("config", {}).items()])
    lines += _section(
        "Counts", [f"{what}: {_number(count)}" for what, count in card.get("counts", {}).items()]
    )
    lines += _section(
        "Published counts", [f"{what}: {_number(count)}" for what, count in card.get("official", {}).items()]
    )
    if "statistics" in card:
        lines += ["", "## Statistics", "", *_statistics(card["statistics"])]
    lines += _section("What it cannot show", card.get("limits", []))
    return "\n".join(lines) + "\n"


def _statistics(values: dict) -> list[str]:
    overall = _table(["Whole", ""], [(title, _number(values[key])) for key, title in STATISTICS.items()])
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
