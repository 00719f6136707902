"""Does one pass per session learn as prefix expansion does? `python -m tests.reference.trajectory --data DIR --out FILE.csv`

For the same instances loss and gradient are equal; what differs is which instances share a batch and a dropout mask. The
study's training is run twice from each seed: as it is, and with every prefix a row of its own in a batch drawn from all of
them. Both are evaluated by the same code after every epoch.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from alterrec import registry
from alterrec.data.dataset import Dataset
from alterrec.data.text_vectors import load_text_vectors
from alterrec.engine import training_loop
from alterrec.engine.contract import Task
from alterrec.engine.device import device, set_determinism, set_precision
from alterrec.engine.seeding import seed_sequence
from alterrec.engine.windows import Windows


class Prefixes(Windows):
    """A window per training prefix, with one instance at its end; batches are drawn from all of them."""

    def __init__(self, dataset, splits, max_length, where):
        super().__init__(dataset, splits, max_length, where)
        if splits != ("train",):
            return
        start, length, first = self.table.T
        ends = length - first
        row = np.repeat(np.arange(len(self.table)), ends)
        end = first[row] + 1 + np.arange(len(row)) - np.repeat(ends.cumsum() - ends, ends)
        self.table = np.stack([start[row], end, end - 1], 1)
        self.start, self.length, self.first = (
            torch.from_numpy(each.copy()).to(where) for each in self.table.T
        )

    def shuffled_rows(self, instances, generator, views=1):
        pick = generator.permutation(len(self) * views)
        for piece in np.split(pick, range(instances, len(pick), instances)):
            yield piece // views, piece % views


def trajectory(name: str, windows: type[Windows], data: Path, seed: int, settings: dict) -> pd.DataFrame:
    """One row per epoch of a model trained on such windows."""
    model = registry.model(name)
    text = load_text_vectors(data / "text" / "all_minilm_l6_v2.safetensors") if model.uses_text else None
    dataset = Dataset.load(data)
    config = model.module.Config(**settings)
    task = Task(dataset, config, seed_sequence("trajectory", name, seed), text, device=device())
    training_loop.Windows = windows
    history = pd.DataFrame(model.module.fit(task).history)
    return history[["epoch", "updates", "loss", "hits20"]].assign(
        model=name, seed=seed, rows=windows.__name__
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a prepared dataset's folder")
    parser.add_argument("--out", type=Path, required=True, help="CSV, one row per epoch")
    parser.add_argument("--models", nargs="+", default=["id_only", "text_only"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=15)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    set_determinism()
    set_precision("tf32")
    settings = {"dimension": asked.dimension, "epochs": asked.epochs, "patience": asked.epochs}
    settings |= {"schedule": "constant", "dropout": 0.3, "initialisation": "xavier"}
    found = []
    for seed in asked.seeds:
        for model in asked.models:
            for windows in (Windows, Prefixes):
                found.append(trajectory(model, windows, asked.data, seed, settings))
                pd.concat(found).to_csv(asked.out, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
