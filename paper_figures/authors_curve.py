"""AlterRec under the authors' settings beside the authors' program: validation Hits@20 after every epoch of the run.

`python paper_figures/authors_curve.py OUT CURVES.csv PROGRAM.csv` writes authors_curve.png and authors_curve.md. CURVES is
from `python -m alterrec.bench.learning_curves`; PROGRAM has network (id, text or fused), own_epoch (for fused the run's
epoch) and hits20 in percent.
"""

import argparse
from pathlib import Path

import _style as style
import pandas as pd
from _table_writer import Column, markdown_head, markdown_line

from alterrec.files import write_text

EPOCHS = 7
PANELS = {"id": "ID part", "text": "Text part", "fused": "Fused score"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder that the files are written to")
    parser.add_argument("curves", type=Path, help="CSV file of learning curves")
    parser.add_argument("program", type=Path, help="CSV file with the values of the authors' program")
    options = parser.parse_args()
    curves = pd.read_csv(options.curves).query("epoch <= @EPOCHS")
    program = pd.read_csv(options.program)
    draw(curves, program, options.out)
    write_text(options.out / "authors_curve.md", table(curves, program))


def values(curves: pd.DataFrame, network: str) -> pd.DataFrame:
    """Hits@20 in percent: a row per epoch of the run (for a part: the epochs in which it was trained), a column per seed."""
    column = "hits20" if network == "fused" else f"{network}_hits20"
    own = curves if network == "fused" else curves[curves.network == network]
    return 100 * own.pivot(index="epoch", columns="seed", values=column)


def draw(curves: pd.DataFrame, program: pd.DataFrame, out: Path) -> None:
    fig, axes = style.new_figure(1, 3, style.TEXT_WIDTH, 2.0, sharey=True)
    for panel, (network, title) in zip(axes[0], PANELS.items(), strict=True):
        own = values(curves, network)
        own.index = own.index if network == "fused" else range(1, len(own) + 1)
        panel.plot(own.index, own, color="#9ecae1", linewidth=0.7)
        panel.plot(own.index, own.mean(axis=1), color="#0072B2", marker="o", label="suite, mean over seeds")
        theirs = program[program.network == network]
        panel.plot(theirs.own_epoch, theirs.hits20, "D", color="#D55E00", label="authors' program, seed 0")
        panel.set_title(title)
        panel.set_xlabel("Epoch of the run" if network == "fused" else "Epoch of this network")
        panel.xaxis.set_major_locator(style.MaxNLocator(integer=True))
    axes[0][0].set_ylabel("Validation Hits@20 (%)")
    axes[0][2].legend(loc="lower right")
    style.save(fig, out, "authors_curve", [f"Thin lines: {curves.seed.nunique()} seeds."])


def table(curves: pd.DataFrame, program: pd.DataFrame) -> str:
    columns = [
        "Value",
        "After",
        "Suite, mean",
        "Suite, lowest to highest seed",
        "Authors' program",
        "Difference",
    ]
    lines = markdown_head(
        [Column("", title, "text" if number < 2 else "count") for number, title in enumerate(columns)]
    )
    for row in program.itertuples():
        own = values(curves, row.network)
        seeds = own.loc[row.own_epoch] if row.network == "fused" else own.iloc[row.own_epoch - 1]
        epochs = f"{row.own_epoch} epochs of the {'run' if row.network == 'fused' else 'network'}"
        mean = seeds.mean()
        cells = [PANELS[row.network], epochs.replace("1 epochs", "1 epoch"), f"{mean:.2f}"]
        cells += [f"{seeds.min():.2f} to {seeds.max():.2f}", f"{row.hits20:.2f}", f"{mean - row.hits20:+.2f}"]
        lines.append(markdown_line(cells))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
