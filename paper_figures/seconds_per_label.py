"""Seconds per true label of every model beside ID only, from files of `python -m alterrec.bench.learning_curves`.

`python paper_figures/seconds_per_label.py OUT CSV [CSV ...]` writes OUT/seconds_per_label.md: a row for each model and what
it learns from, the slowest first. A run's time is that of its fastest epoch, so that warm-up and disturbances count little,
and the mean over its networks where it has two. It is divided by that of ID only of the same seed on the same device.
Evaluation is left out of all times.
"""

import argparse
from pathlib import Path

import pandas as pd
from _table_writer import Column, markdown_head, markdown_line

from alterrec.errors import UserError
from alterrec.files import write_text

BESIDE = "id_only"
RUN = ["device", "model", "seed"]
TITLES = {
    "model": "Model",
    "mode": "Learns from",
    "time": "µs per label",
    "ratio": "Times ID only",
    "range": "Range",
}
MODES = {
    "full": "full softmax",
    "random": "random negatives",
    "hard": "hard negatives",
    "augmented": "augmented positives",
    "pretrain": "pre-training",
    "finetune": "full softmax, after pre-training",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder that the file is written to")
    parser.add_argument("curves", type=Path, nargs="+", help="CSV files of learning curves")
    options = parser.parse_args()
    curves = pd.concat(map(pd.read_csv, options.curves), ignore_index=True)
    write_text(options.out / "seconds_per_label.md", page(ratios(seconds_per_label(curves))))


def seconds_per_label(curves: pd.DataFrame) -> pd.DataFrame:
    """Columns `time`, in seconds, and those of RUN with `mode`: one row for each run and what it learns from."""
    of_network = curves.groupby([*RUN, "network"])["labels"]
    labels = of_network.diff().fillna(curves["labels"])
    each = curves.assign(time=curves["seconds"] / labels).groupby([*RUN, "mode", "network"], sort=False)
    return each["time"].min().groupby([*RUN, "mode"], sort=False).mean().reset_index()


def ratios(times: pd.DataFrame) -> pd.DataFrame:
    """`times` with the column `ratio` to ID only. UserError where a seed lacks it."""
    beside = times[times["model"] == BESIDE].set_index(["device", "seed"])["time"]
    keys = pd.MultiIndex.from_frame(times[["device", "seed"]])
    if lacking := sorted({seed for device, seed in keys if (device, seed) not in beside.index}):
        raise UserError(
            f"{BESIDE} did not train with seed {', '.join(map(str, lacking))}: train it beside the others"
        )
    return times.assign(ratio=times["time"].to_numpy() / beside.reindex(keys).to_numpy())


def page(times: pd.DataFrame) -> str:
    """A Markdown table for each device: medians over seeds, and the lowest and the highest ratio."""
    lines = []
    for device, own in times.groupby("device", sort=False):
        seeds = own["seed"].nunique()
        table = own.groupby(["model", "mode"]).agg(
            time=("time", "median"), ratio=("ratio", "median"), low=("ratio", "min"), high=("ratio", "max")
        )
        lines += [f"{device}; medians of {seeds} runs, and the range of the ratios.", ""]
        lines += markdown_head(
            [
                Column("", title, "count" if key in ("time", "ratio", "range") else "text")
                for key, title in TITLES.items()
            ]
        )
        for (model, mode), row in table.sort_values("ratio", ascending=False).iterrows():
            ends = f"{row.low:.2f} to {row.high:.2f}"
            lines.append(
                markdown_line(
                    [f"`{model}`", MODES.get(mode, mode), f"{1e6 * row.time:.1f}", f"{row.ratio:.2f}", ends]
                )
            )
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
