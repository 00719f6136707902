"""Do batches of whole sessions teach as much per epoch as batches of single prefixes?

`python -m tests.reference.trajectory --data DIR --out FILE.csv` trains models on a prepared dataset from the same seeds,
once with `batches: prefixes` and once with `batches: sessions`. The file has a row per epoch. For the same instances, loss
and gradient do not depend on the batches (tests/unit/test_batching.py). The batches decide which instances share an
optimiser step, and which prefixes share a dropout mask.
"""

import argparse
import logging
from itertools import product
from pathlib import Path

import pandas as pd

from alterrec import registry
from alterrec.data.dataset import Dataset
from alterrec.data.text_vectors import load_text_vectors
from alterrec.engine.contract import Task
from alterrec.engine.device import device, set_determinism, set_precision
from alterrec.engine.seeding import seed_sequence


def trajectory(name: str, data: Path, seed: int, settings: dict) -> pd.DataFrame:
    """The history of a model that is trained with the settings: one row per epoch."""
    model = registry.model(name)
    text = load_text_vectors(data / "text" / "all_minilm_l6_v2.safetensors") if model.uses_text else None
    config = model.module.Config(**settings)
    task = Task(Dataset.load(data), config, seed_sequence("trajectory", name, seed), text, device=device())
    history = pd.DataFrame(model.module.fit(task).history)
    history = history[["epoch", "updates", "loss", "hits20", "seconds"]]
    return history.assign(model=name, seed=seed, batches=settings["batches"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a prepared dataset's folder")
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write, one row per epoch")
    parser.add_argument("--models", nargs="+", default=["id_only", "text_only"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=15)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    set_determinism()
    set_precision("tf32")
    settings = {"dimension": options.dimension, "epochs": options.epochs, "patience": options.epochs}
    settings |= {"schedule": "constant", "dropout": 0.3, "initialisation": "xavier"}
    histories = []
    for seed, model, batches in product(options.seeds, options.models, ("prefixes", "sessions")):
        histories.append(trajectory(model, options.data, seed, settings | {"batches": batches}))
        pd.concat(histories).to_csv(options.out, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
