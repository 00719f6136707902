"""Validation Hits@20 over seconds of training, from files of `python -m alterrec.bench.learning_curves`.

`python paper_figures/quality_over_seconds.py OUT CSV [CSV ...]` writes quality_over_seconds.png and time_to_quality.md: the
seconds until 95 % of a model's best validation Hits@20. Evaluation is left out of all times.
"""

import argparse
from pathlib import Path

import _style as style
import pandas as pd
from _table_writer import Column, markdown_head, markdown_line

from alterrec.files import write_text

SHARE = 0.95
COLOURS = {"prefixes": "#0072B2", "sessions": "#D55E00", "sessions:4": "#009E73", "literal": "#000000"}
NAMES = {
    "prefixes": "single prefixes",
    "sessions": "whole sessions",
    "sessions:4": "pieces of 4 prefixes",
    "literal": "literal program",
}
MODELS = {"id_only": "ID only", "text_only": "Text only", "alterrec": "AlterRec"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder that the files are written to")
    parser.add_argument("curves", type=Path, nargs="+", help="CSV files of learning curves")
    options = parser.parse_args()
    curves = pd.concat(map(pd.read_csv, options.curves), ignore_index=True)
    runs = curves.groupby(["model", "batches", "seed"], sort=False)
    curves["trained"] = runs.seconds.cumsum()
    draw(curves, options.out)
    write_text(options.out / "time_to_quality.md", table(curves))


def draw(curves: pd.DataFrame, out: Path) -> None:
    """One panel per model, one line per run."""
    models = list(dict.fromkeys(curves.model))
    fig, axes = style.new_figure(1, len(models), style.TEXT_WIDTH, 2.2)
    for panel, model in zip(axes[0], models, strict=True):
        draw_runs(panel, curves[curves.model == model])
        panel.set_title(MODELS[model])
        panel.set_xlabel("Seconds of training")
        panel.legend(loc="lower right")
    axes[0][0].set_ylabel("Validation Hits@20 (%)")
    style.save(fig, out, "quality_over_seconds", [f"Device: {', '.join(curves.device.unique())}."])


def draw_runs(panel, curves: pd.DataFrame) -> None:
    """One line per run, over the seconds in the column `trained`."""
    for (batches, _), run in curves.groupby(["batches", "seed"], sort=False):
        label = NAMES[batches] if NAMES[batches] not in labels_of(panel) else None
        panel.plot(run.trained, 100 * run.hits20, color=COLOURS[batches], linewidth=0.9, label=label)


def labels_of(panel) -> list[str]:
    return panel.get_legend_handles_labels()[1]


def table(curves: pd.DataFrame) -> str:
    """Markdown, one row per model and kind of batches; three values are three seeds."""
    titles = [
        "Model",
        "Batches",
        "Seconds per epoch",
        "Best Hits@20 (%)",
        "Epochs to 95 %",
        "Seconds to 95 %",
    ]
    lines = markdown_head([Column("", title, "text" if title in titles[:2] else "count") for title in titles])
    for (model, batches), runs in curves.groupby(["model", "batches"], sort=False):
        best = curves[curves.model == model].groupby("seed").hits20.max().mean()
        reached = [run[run.hits20 >= SHARE * best].head(1) for _, run in runs.groupby("seed")]
        lines.append(
            markdown_line(
                [
                    MODELS[model],
                    NAMES[batches],
                    f"{runs.seconds.median():.2f}",
                    ", ".join(f"{100 * value:.2f}" for value in runs.groupby("seed").hits20.max()),
                    ", ".join(f"{row.epoch.item()}" if len(row) else "never" for row in reached),
                    ", ".join(f"{row.trained.item():.1f}" if len(row) else "never" for row in reached),
                ]
            )
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
