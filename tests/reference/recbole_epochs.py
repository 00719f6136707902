"""RecBole's SASRec (Kang and McAuley, ICDM 2018; Zhao et al., CIKM 2021), trained by RecBole's own trainer epoch by epoch.

RecBole 1.2.1 reads the MovieLens 100k of its own package. Nothing of its data, model or trainer is changed. Three names
that NumPy 2 removed are given back, since RecBole's config reads them.

`python -m tests.reference.recbole_epochs FOLDER` writes RecBole's data as the table that the suite reads. The order of a
user's ratings is RecBole's: it holds times as float32, so ratings a second apart can count as simultaneous.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from tests.reference.turns import Stopwatch, fingerprint

SETTINGS = Path(__file__).parents[2] / "results" / "reference" / "bench" / "recbole" / "sasrec.yaml"


def recbole_epochs(seed: int, threads: int) -> Iterator[dict]:
    """What the program trains on, then a row per epoch (see `beside_recbole`)."""
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    torch.set_num_threads(threads)
    config = recbole_config(seed)
    init_seed(seed, config["reproducibility"])
    training, validation, test = data_preparation(config, create_dataset(config))
    init_seed(seed, config["reproducibility"])
    model = get_model(config["model"])(config, training.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.eval_collector.data_collect(training)
    yield {"instances": len(training.dataset), "test": fingerprint(test_histories(test.dataset))}
    for epoch in range(config["epochs"]):
        with Stopwatch() as watch:
            loss = trainer._train_epoch(training, epoch)
        row = watch.seconds | {"loss": loss / len(training)}
        for split, data in (("validation", validation), ("test", test)):
            found = trainer.evaluate(data, load_best_model=False)
            row |= {f"{split}_ndcg10": found["ndcg@10"], f"{split}_hits10": found["hit@10"]}
        yield row


def recbole_config(seed: int):
    """RecBole's config of SASRec, on a GPU if there is one."""
    np.float_, np.complex_, np.unicode_ = np.float64, np.complex128, np.str_
    from recbole.config import Config

    changes = {"seed": seed, "gpu_id": "0" if torch.cuda.is_available() else ""}
    return Config("SASRec", "ml-100k", config_file_list=[str(SETTINGS)], config_dict=changes)


def test_histories(dataset) -> Iterator[list[str]]:
    """For every test instance its user, the items that the model reads, and the target."""
    rows = dataset.inter_feat
    users, targets = (dataset.id2token(field, rows[field]) for field in ("user_id", "item_id"))
    histories = zip(users, targets, rows["item_id_list"], rows["item_length"], strict=True)
    for user, target, items, length in histories:
        yield [user, *dataset.id2token("item_id", items[:length]), target]


def write_table(folder: Path) -> None:
    """Write sessions.tsv, the users' items in RecBole's order, and items.tsv, RecBole's file with plain column names."""
    from recbole.data import create_dataset

    config = recbole_config(0)
    dataset = create_dataset(config)
    dataset.build()  # sorts the ratings and makes an instance of every prefix
    instances = dataset.inter_feat
    users, targets = (dataset.id2token(field, instances[field]) for field in ("user_id", "item_id"))
    firsts = dataset.id2token("item_id", instances["item_id_list"][:, 0])
    lines = ["session_id\titem_id"]
    for user, first, target, length in zip(users, firsts, targets, instances["item_length"], strict=True):
        lines += [f"{user}\t{first}"] * (int(length) == 1) + [f"{user}\t{target}"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sessions.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    header, _, items = (Path(config["data_path"]) / "ml-100k.item").read_text("utf-8").partition("\n")
    (folder / "items.tsv").write_text(re.sub(r":\w+", "", header) + "\n" + items, encoding="utf-8")


if __name__ == "__main__":
    write_table(Path(sys.argv[1]))
