"""NDCG@10 over seconds of training of `id_only` and of RecBole's SASRec, from files of `tests.reference.beside_recbole`.

`python paper_figures/recbole_curves.py OUT CSV [CSV ...]` writes recbole_curves.png and recbole_curves.md, a panel and a part
of the table per file. The quality to reach is the best validation NDCG@10 of SASRec of the same seed.
"""

import argparse
from pathlib import Path

import _style as style
import pandas as pd
from _table_writer import Column, markdown_head, markdown_line

from alterrec.files import write_text

SASREC = "recbole"
NAMES = {SASREC: "SASRec of RecBole", "id_only": "ID only"}
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#000000")
SHARES = (0.95, 1.0)
TITLES = (
    "Device",
    "Program",
    "Seconds per epoch",
    "Processor s per epoch",
    "Best epoch",
    "Validation NDCG@10",
)
TITLES += ("Test NDCG@10", "Test Hits@10", "Seconds to 95 %", "Seconds to 100 %", "Processor s to 100 %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder that the files are written to")
    parser.add_argument("curves", type=Path, nargs="+", help="CSV files, one for each device")
    options = parser.parse_args()
    curves = [read(path) for path in options.curves]
    draw(curves, options.out)
    write_text(options.out / "recbole_curves.md", table(curves))


def read(path: Path) -> pd.DataFrame:
    """The rows of a file with `trained` and `processor`, the seconds of a run up to each epoch."""
    rows = pd.read_csv(path)
    sums = rows.groupby(["program", "seed"])[["seconds", "processor_seconds"]].cumsum()
    return rows.assign(trained=sums.seconds, processor=sums.processor_seconds)


def draw(curves: list[pd.DataFrame], out: Path) -> None:
    """One panel per file, one line per run, a dot at the best epoch."""
    fig, axes = style.new_figure(1, len(curves), style.TEXT_WIDTH, 2.4)
    for panel, rows in zip(axes[0], curves, strict=True):
        for colour, (program, runs) in zip(COLOURS, rows.groupby("program", sort=False), strict=False):
            for number, (_, run) in enumerate(runs.groupby("seed")):
                label = None if number else label_of(program)
                panel.plot(run.trained, run.validation_ndcg10, color=colour, linewidth=0.9, label=label)
                best = best_epoch(run)
                panel.plot(best.trained, best.validation_ndcg10, "o", color=colour)
        panel.set_title(rows.device.iloc[0])
        panel.set_xscale("log")
        panel.set_xlabel("Seconds of training")
        panel.legend(loc="lower right")
    axes[0][0].set_ylabel("Validation NDCG@10")
    style.save(fig, out, "recbole_curves", ["A line is a run of one seed, a dot its best epoch."])


def label_of(program: str) -> str:
    model, _, changes = program.partition(" ")
    return f"{NAMES[model]} {changes.strip('{}')}".strip()


def best_epoch(run: pd.DataFrame) -> pd.Series:
    """The row of the best validation NDCG@10, the later one of equals, as RecBole chooses it."""
    return run.iloc[::-1].loc[run.iloc[::-1].validation_ndcg10.idxmax()]


def table(curves: list[pd.DataFrame]) -> str:
    """Markdown, one row per device and program; several values are those of the seeds."""
    lines = markdown_head([Column("", title, "text" if title in TITLES[:2] else "count") for title in TITLES])
    for rows in curves:
        sasrec = {seed: best_epoch(run) for seed, run in rows[rows.program == SASREC].groupby("seed")}
        for program, runs in rows.groupby("program", sort=False):
            lines.append(
                markdown_line([rows.device.iloc[0], label_of(program), *cells_of(program, runs, sasrec)])
            )
    return "\n".join(lines) + "\n"


def cells_of(program: str, runs: pd.DataFrame, sasrec: dict[int, pd.Series]) -> list[str]:
    by_seed = {seed: run for seed, run in runs.groupby("seed") if seed in sasrec}
    best = {seed: best_epoch(run) for seed, run in by_seed.items()}
    epochs = (
        f"{best[seed].epoch} of {len(run)}" + ("" if run.stopped.iloc[-1] else " (cut)")
        for seed, run in by_seed.items()
    )
    reached = {
        share: [first_epoch(run, share * sasrec[seed].validation_ndcg10) for seed, run in by_seed.items()]
        for share in SHARES
    }
    if program == SASREC:
        reached[1.0] = list(sasrec.values())
    return [
        f"{runs.seconds.median():.2f}",
        f"{runs.processor_seconds.median():.2f}",
        ", ".join(epochs),
        *(
            joined((row[column] for row in best.values()), "{:.4f}")
            for column in ("validation_ndcg10", "test_ndcg10", "test_hits10")
        ),
        *(joined(row is not None and row.trained for row in reached[share]) for share in SHARES),
        joined(row is not None and row.processor for row in reached[1.0]),
    ]


def first_epoch(run: pd.DataFrame, quality: float) -> pd.Series | None:
    """The row of the first epoch that is at least so good; None if there is none."""
    good = run[run.validation_ndcg10 >= quality]
    return good.iloc[0] if len(good) else None


def joined(values, form: str = "{:.1f}") -> str:
    return ", ".join("never" if value is False else form.format(value) for value in values)


if __name__ == "__main__":
    main()
