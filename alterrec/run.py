"""One cell of a study: train a model on a dataset with a seed, rank every target, and write the run's folder."""

import logging
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.torch
import torch

from alterrec import registry
from alterrec.checkpoint import Checkpoint
from alterrec.errors import UserError
from alterrec.files import atomic, clear_partial, write_json, write_parquet
from alterrec.metrics import expected_hits, expected_ndcg
from alterrec.provenance import provenance
from alterrec.ranking import rank
from alterrec.seeding import seed_sequence
from alterrec.sessions import Dataset
from alterrec.text import load_text
from alterrec.training import Fitted, Task

logger = logging.getLogger(__name__)
DETERMINISTIC = "ALTERREC_DETERMINISTIC"  # 1: a GPU gives the same bits as well


def train(spec: dict, data: Path, out: Path) -> None:
    """Train the run that `spec` describes on the prepared dataset in `data`; write the run's files into `out`.

    Runs that the model is made of are looked for beside `out`, under the same seed. A run that was killed is gone on
    with after its last finished epoch, where its specification, data and code are still the same.
    """
    started = time.perf_counter()
    clear_partial(out)
    made_from = provenance(spec, data, device())
    fitted, task = fit(spec, data, out, Checkpoint.of(out, {"spec": spec} | made_from))
    ranks, top, alpha = rank(fitted.scorer, task.dataset, task.config.max_length, task.device)
    write_parquet(out / "top.parquet", top)
    write_parquet(out / "alpha.parquet", alpha)
    write_parquet(out / "history.parquet", pd.DataFrame(fitted.history))
    with atomic(out / "weights.safetensors") as temporary:
        temporary.write_bytes(safetensors.torch.save({k: v.contiguous() for k, v in fitted.state.items()}))
    write_json(out / "spec.json", spec)
    seconds = time.perf_counter() - started
    write_json(out / "metrics.json", headline(ranks) | fitted.facts | {"seconds": seconds})
    write_json(out / "provenance.json", made_from)
    write_parquet(out / "ranks.parquet", ranks)
    task.checkpoint.remove()


def set_determinism() -> None:
    """The same bits from the same seed: always on a CPU; on a GPU only where it is asked for, since it costs time."""
    asked = os.environ.get(DETERMINISTIC) == "1"
    if asked:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(asked or not torch.cuda.is_available(), warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # it would cost a quarter of a step


def set_precision(precision: str) -> None:
    """What a GPU makes of float32 factors; a config's `precision` says more."""
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fit(spec: dict, data: Path, out: Path, checkpoint: Checkpoint | None = None) -> tuple[Fitted, Task]:
    """Read what the run needs and fit its model, going on from the checkpoint if there is one."""
    torch.set_num_threads(spec["threads"])
    set_determinism()
    model = registry.model(spec["base"], spec["baselines"])
    if model.external:
        raise UserError(f"{spec['base']} is trained by {model.path}, not by `alterrec train`")
    task = Task(
        dataset=Dataset.load(data),
        config=model.module.Config(**spec["config"]),
        seed=seed_sequence(spec["dataset"], spec["model"], spec["seed"]),
        text=load_text(data / "text" / f"{spec['encoder']}.safetensors") if spec["encoder"] else None,
        required={name: out.parent.parent / name / out.name for name in model.requires},
        device=device(),
        checkpoint=checkpoint,
    )
    set_precision(getattr(task.config, "precision", "float32"))
    return model.module.fit(task), task


def headline(ranks: pd.DataFrame) -> dict:
    """Hits@20 and NDCG@20 over all prefixes, per split: for a quick look; everything printed comes from the ranks."""
    found = {}
    for split, rows in ranks.groupby("split"):
        above, ties = rows["above"].to_numpy(), rows["ties"].to_numpy()
        found[split] = {
            "Hits@20": float(np.mean(expected_hits(above, ties, 20))),
            "NDCG@20": float(np.mean(expected_ndcg(above, ties, 20))),
        }
    return found
