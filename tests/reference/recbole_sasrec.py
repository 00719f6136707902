"""RecBole's SASRec (Kang and McAuley, ICDM 2018; Zhao et al., CIKM 2021), trained by RecBole's own trainer epoch by epoch.

RecBole 1.2.1 reads the MovieLens 100k of its own package. Nothing of its data, model or trainer is changed. Three names
that NumPy 2 removed are given back, since RecBole's config reads them.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from tests.reference.turns import Stopwatch, fingerprint


def recbole_epochs(settings: Path, seed: int, threads: int) -> Iterator[dict]:
    """What the program trains on, then a row per epoch (see `beside_recbole`); `settings` is a YAML file for RecBole."""
    np.float_, np.complex_, np.unicode_ = np.float64, np.complex128, np.str_
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    torch.set_num_threads(threads)
    changes = {"seed": seed, "use_gpu": torch.cuda.is_available()}
    config = Config("SASRec", "ml-100k", config_file_list=[str(settings)], config_dict=changes)
    init_seed(seed, config["reproducibility"])
    dataset = create_dataset(config)
    training, validation, test = data_preparation(config, dataset)
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


def test_histories(dataset) -> Iterator[list[str]]:
    """For every test instance its user, the items that the model reads, and the target."""
    rows = dataset.inter_feat
    users, targets = (dataset.id2token(field, rows[field]) for field in ("user_id", "item_id"))
    for user, target, items, length in zip(
        users, targets, rows["item_id_list"], rows["item_length"], strict=True
    ):
        yield [user, *dataset.id2token("item_id", items[:length]), target]
