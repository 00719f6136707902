"""How good a model is after so many seconds of training: `python -m alterrec.bench.learning_curves --help`.

Trains models of a study's config on a prepared dataset, for several seeds and kinds of batches, and writes a row per epoch:
validation Hits@20 of the model and its parts, the true labels so far, and the seconds of training, evaluation left out. All
models train for one seed before the next, so that a slow hour of the machine is shared.
"""

import argparse
import logging
from itertools import product
from pathlib import Path

import pandas as pd

from alterrec.engine.device import machine
from alterrec.execute import fit_model
from alterrec.files import atomic
from alterrec.registry import Model
from alterrec.study.load import load_study

COLUMNS = [
    "epoch",
    "network",
    "mode",
    "updates",
    "labels",
    "loss",
    "hits20",
    "id_hits20",
    "text_hits20",
    "seconds",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="a study's config file")
    parser.add_argument("--dataset", required=True, help="a dataset of the study")
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder of that dataset, prepared and encoded"
    )
    parser.add_argument("--models", nargs="+", help="models to train (all of the study that train a network)")
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument(
        "--batches",
        nargs="+",
        default=["prefixes"],
        help="prefixes, sessions, or sessions:4 for pieces of 4 prefixes",
    )
    parser.add_argument("--epochs", type=int, help="largest number of epochs, if not the config's")
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    study, histories = load_study(options.config), []
    models = options.models or [name for name in study.config.models if trains_alone(study.model(name))]
    for seed, model, batches in product(options.seeds, models, options.batches):
        overrides = {} if options.epochs is None else {"epochs": options.epochs}
        spec = study.spec(options.dataset, model, seed, **overrides | batch_settings(batches))
        spec["portable"] = False  # the machine's own matrix products are timed
        history = pd.DataFrame(fit_model(spec, options.data, options.out)[0].history)
        history = history.reindex(columns=COLUMNS).assign(model=model, seed=seed, batches=batches)
        histories.append(history.assign(device=device_name()))
        with atomic(options.out) as temporary:
            pd.concat(histories).to_csv(temporary, index=False, float_format="%.6g")


def trains_alone(model: Model) -> bool:
    """Whether the model trains a network and reads no other run."""
    return model.trains_a_network and not model.requires


def batch_settings(kind: str) -> dict:
    """The settings that "prefixes", "sessions" or "sessions:N" stands for."""
    batches, _, pieces = kind.partition(":")
    return {"batches": batches, "prefixes_per_session": int(pieces) if pieces else None}


def device_name() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else machine()["processor"]


if __name__ == "__main__":
    main()
