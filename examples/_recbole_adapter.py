"""RecBole's SASRec on a prepared dataset: three parquet files in, the scores of all items for every instance out.

It runs in RecBole's environment (envs/recbole.yaml), where the suite is not installed. RecBole reads atomic files, which are
tables of text whose header states the type of every column. They are written in its format for data that are split already:
a row is one instance, the items of a prefix and the target. An item's name there is its row number in items.parquet.
"""

import argparse
import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

NAME = "prepared"  # RecBole names the folder and the files of a dataset after it
SPLITS = ["train", "validation", "test"]
SETTINGS = {
    "USER_ID_FIELD": "session_id",
    "ITEM_ID_FIELD": "item_id",
    "load_col": {"inter": ["session_id", "item_id_list", "item_id"], "item": ["item_id"]},
    "benchmark_filename": SPLITS,
    "alias_of_item_id": ["item_id_list"],
    "eval_args": {"order": "TO", "mode": "full"},
    "metrics": ["Hit"],
    "topk": [20],
    "valid_metric": "Hit@20",
    "MAX_ITEM_LIST_LENGTH": 50,
    "train_neg_sample_args": None,  # SASRec's loss in RecBole is that over the whole catalogue
    "show_progress": False,
}
"""The fields of the files, and what the suite decides for all models. Everything else has RecBole's default."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for file in ("sessions", "catalogue", "instances", "out"):
        parser.add_argument(file, type=lambda path: Path(path).resolve())
    parser.add_argument("settings", type=json.loads, help="settings of RecBole as JSON")
    parser.add_argument("seed", type=int)
    parser.add_argument("threads", type=int)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    sessions, instances = pd.read_parquet(options.sessions), pd.read_parquet(options.instances)
    items = len(pd.read_parquet(options.catalogue, columns=["item_id"]))
    settings = SETTINGS | options.settings | {"seed": options.seed}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # RecBole writes there
        write_atomic_files(Path(folder), sessions, items, instances, int(settings["MAX_ITEM_LIST_LENGTH"]))
        model, loaders = train(settings | {"data_path": folder}, options.threads)
        write_scores(options.out, model, loaders, items, instances)


def write_atomic_files(
    folder: Path, sessions: pd.DataFrame, items: int, instances: pd.DataFrame, length: int
) -> None:
    """Write the catalogue of so many `items` and the instances of each split into `folder`/NAME.

    A prefix has its last `length` items. The rows of validation and test are those of `instances`, in their order.
    """
    (folder / NAME).mkdir()
    catalogue = "".join(f"{item}\n" for item in range(items))
    (folder / NAME / f"{NAME}.item").write_text(f"item_id:token\n{catalogue}")
    of_split = {"train": training_instances(sessions)} | dict(iter(instances.groupby("split")))
    for split in SPLITS:
        with (folder / NAME / f"{NAME}.{split}.inter").open("w") as file:
            file.write("session_id:token\titem_id_list:token_seq\titem_id:token\n")
            for session, position in of_split[split][["session", "position"]].itertuples(index=False):
                row = sessions["items"][session]
                prefix = " ".join(map(str, row[max(0, position - length) : position]))
                file.write(f"{session}\t{prefix}\t{row[position]}\n")


def training_instances(sessions: pd.DataFrame) -> pd.DataFrame:
    """The session and the length of every prefix of the training sessions."""
    train = sessions.index[sessions["split"] == "train"]
    rows = [(session, place) for session in train for place in range(1, len(sessions["items"][session]))]
    return pd.DataFrame(rows, columns=["session", "position"])


def train(settings: dict, threads: int) -> tuple:
    """RecBole's model with the weights of its best epoch on validation, and its loaders of validation and test."""
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    torch.set_num_threads(threads)
    # RecBole's config reads three names that NumPy 2 removed, and makes the GPU `gpu_id` the only visible one.
    np.float_, np.complex_, np.unicode_ = np.float64, np.complex128, np.str_
    gpu = {"gpu_id": os.environ.get("CUDA_VISIBLE_DEVICES", "0")}
    config = Config("SASRec", NAME, config_dict=gpu | settings)
    init_seed(config["seed"], config["reproducibility"])
    training, *ranked = data_preparation(config, create_dataset(config))
    model = get_model("SASRec")(config, training.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], "SASRec")(config, model)
    trainer.fit(training, ranked[0])
    # RecBole's own reading of this file fails since torch 2.6
    best = torch.load(trainer.saved_model_file, map_location=config["device"], weights_only=False)
    model.load_state_dict(best["state_dict"])
    return model.eval(), ranked


def write_scores(out: Path, model, loaders: Sequence, items: int, instances: pd.DataFrame) -> None:
    """Write float32 scores [I, N] as .npy: a row for each of `instances`, a column for each of the `items`."""
    import torch

    scores = np.lib.format.open_memmap(out, "w+", np.float32, (len(instances), items))
    target, row = instances["target"].to_numpy(), 0
    for loader in loaders:
        column = loader.dataset.token2id("item_id", [str(item) for item in range(items)])  # 0 is no item
        for interaction, *_ in loader:
            rows = slice(row, row + len(interaction))
            if not np.array_equal(column[target[rows]], interaction["item_id"].numpy()):
                raise SystemExit("RecBole changed the order of the instances")
            with torch.inference_mode():
                scores[rows] = model.full_sort_predict(interaction.to(model.device)).cpu().numpy()[:, column]
            row = rows.stop


if __name__ == "__main__":
    main()
