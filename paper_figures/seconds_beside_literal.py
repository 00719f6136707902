"""Seconds until the quality of a literal program, from files of `python -m alterrec.bench.quality_ratio`.

`python paper_figures/seconds_beside_literal.py OUT CSV [CSV ...]` writes seconds_beside_literal.md and .png. The quality is
the validation Hits@20 that the literal program ends with. A ratio divides what the literal program needed, for all its
epochs or until its own first evaluation with that quality, by what a kind of batches needed until its first evaluation
with that quality. Evaluation is left out of all times.
"""

import argparse
from pathlib import Path

import _style as style
import pandas as pd
from _table_writer import MISSING, Column, markdown_head, markdown_line
from quality_over_seconds import COLOURS, MODELS, NAMES, draw_runs

from alterrec.files import write_text

SETTING = ["dataset", "dimension", "model"]
COSTS = ["seconds", "processor_seconds", "operations"]
COLUMNS = [
    Column("dataset", "Data", "text"),
    Column("dimension", "d", "count"),
    Column("model", "Model", "text"),
    Column("batches", "Batches", "text"),
    Column("hits20", "Hits@20 to reach (%)", "count"),
    Column("literal_epoch", "literal, first", group="Epochs"),
    Column("epoch", "first", group="Epochs"),
    Column("literal_seconds", "literal, all", group="Seconds"),
    Column("reached_seconds", "first", group="Seconds"),
    Column("seconds", "seconds", group="All / first"),
    Column("processor_seconds", "processor seconds", group="All / first"),
    Column("operations", "operations", group="All / first"),
    Column("first_seconds", "seconds", group="First / first"),
    Column("first_processor_seconds", "processor seconds", group="First / first"),
    Column("first_operations", "operations", group="First / first"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder that the files are written to")
    parser.add_argument("curves", type=Path, nargs="+", help="CSV files of the programs' learning curves")
    options = parser.parse_args()
    curves = pd.concat(map(pd.read_csv, options.curves), ignore_index=True)
    curves["trained"] = curves.groupby([*SETTING, "batches", "seed"], sort=False).seconds.cumsum()
    draw(curves, options.out)
    write_text(options.out / "seconds_beside_literal.md", markdown(ratios(curves)))


def ratios(curves: pd.DataFrame) -> pd.DataFrame:
    """A row per setting, seed and kind of batches; NaN where the quality was never reached."""
    rows = []
    for setting, runs in curves.groupby([*SETTING, "seed"], sort=False):
        by_kind = dict(list(runs.groupby("batches", sort=False)))
        literal = by_kind.pop("literal")
        wanted, spent = literal.hits20.iloc[-1], literal[COSTS].sum()
        own = until(literal, wanted)
        for kind, run in by_kind.items():
            reached = until(run, wanted)
            rows.append(
                dict(zip([*SETTING, "seed"], setting, strict=True))
                | {"batches": kind, "hits20": 100 * wanted}
                | {"literal_epoch": own.epoch, "epoch": reached.epoch}
                | {"literal_seconds": spent.seconds, "reached_seconds": reached.seconds}
                | (spent / reached[COSTS]).to_dict()
                | (own / reached)[COSTS].add_prefix("first_").to_dict()
            )
    return pd.DataFrame(rows)


def until(run: pd.DataFrame, wanted: float) -> pd.Series:
    """The epoch and the costs so far at the first evaluation with at least the `wanted` Hits@20; NaN if there is none."""
    so_far = run[COSTS].cumsum().assign(epoch=run.epoch)[run.hits20 >= wanted]
    return so_far.iloc[0] if len(so_far) else pd.Series(float("nan"), so_far.columns)


def markdown(rows: pd.DataFrame) -> str:
    """A line per setting and kind of batches; several values are those of the seeds. The best kind is bold."""
    lines = markdown_head(COLUMNS)
    for (dataset, dimension, model), of_setting in rows.groupby(SETTING, sort=False):
        best = of_setting.fillna({"seconds": 0}).groupby("batches").seconds.median().idxmax()
        for kind, seeds in of_setting.groupby("batches", sort=False):
            cells = [dataset, str(dimension), MODELS[model], NAMES[kind]]
            cells += [numbers(seeds[column.key]) for column in COLUMNS[4:]]
            lines.append(markdown_line([f"**{cell}**" if kind == best else cell for cell in cells]))
    return "\n".join(lines) + "\n"


def numbers(values: pd.Series) -> str:
    return ", ".join(MISSING if pd.isna(value) else f"{value:#.3g}".rstrip(".") for value in values)


def draw(curves: pd.DataFrame, out: Path) -> None:
    """A row of panels per dataset; a dotted line at the quality that the literal program ends with."""
    datasets = list(dict.fromkeys(curves.dataset))
    columns = list(curves.groupby(["dimension", "model"]).groups)
    fig, axes = style.new_figure(len(datasets), len(columns), style.TEXT_WIDTH, 1.5)
    for panels, dataset in zip(axes, datasets, strict=True):
        panels[0].set_ylabel("Validation Hits@20 (%)")
        for panel, (dimension, model) in zip(panels, columns, strict=True):
            own = curves.query("dataset == @dataset and dimension == @dimension and model == @model")
            draw_runs(panel, own)
            panel.set_visible(len(own) > 0)
            for _, literal in own[own.batches == "literal"].groupby("seed"):
                wanted = 100 * literal.hits20.iloc[-1]
                panel.axhline(wanted, color=COLOURS["literal"], linestyle=":", linewidth=0.6)
            panel.set_xscale("log")
            panel.set_title(f"{dataset}\n{MODELS[model]}, d = {dimension}")
    for panel in axes[-1]:
        panel.set_xlabel("Seconds of training")
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    style.save(fig, out, "seconds_beside_literal", [f"Device: {', '.join(curves.device.unique())}."])


if __name__ == "__main__":
    main()
