"""One cell of a study: train a model on a dataset with a seed, rank every target, and write the run's folder."""

import logging
import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.torch
import torch

from alterrec import registry
from alterrec.data.dataset import Dataset
from alterrec.data.text_vectors import load_text_vectors
from alterrec.engine.checkpoint import Checkpoint
from alterrec.engine.contract import Fitted, Task
from alterrec.engine.device import device, machine, set_determinism, set_precision
from alterrec.engine.memory import in_memory
from alterrec.engine.seeding import seed_sequence
from alterrec.engine.windows import Windows
from alterrec.errors import UnfitSettings, UserError
from alterrec.files import atomic, clear_partial, only_writer, write_json, write_parquet
from alterrec.kernels.portable_products import use_portable_products
from alterrec.ranking.metrics import K, expected_hits, expected_ndcg
from alterrec.ranking.rank import rank
from alterrec.ranking.score_file import StoredScores
from alterrec.ranking.validation_hits import mean_hits
from alterrec.study.provenance import (
    COMPLETE,
    RESULTS,
    SUMMARY_ROWS,
    WEIGHTS,
    checksum,
    provenance,
    required_runs,
)
from alterrec.study.run_paths import TEXT
from alterrec.study.settings import ModelConfig

logger = logging.getLogger(__name__)


def execute_run(spec: dict, data: Path, out: Path, deadline: float = math.inf) -> None:
    """Train the run that `spec` describes on the prepared dataset in `data`; write the run's files into `out`.

    Runs that the model is made of are read from beside `out`, under the same seed. A run that was killed continues after
    its last finished epoch, if its specification, data and code are still the same. After the `deadline`, in seconds since
    1970, training stops at the end of an epoch and `Stopped` is raised. UserError if another process is writing the run.
    """
    with only_writer(out):
        clear_partial(out)
        (out / COMPLETE).unlink(missing_ok=True)  # of an older specification
        made_from = provenance(spec, data, out, machine())
        checkpoint = checkpoint_of(out, spec, made_from, deadline)
        fitted, task = in_memory(lambda: fit_model(spec, data, out, checkpoint))
        ranked = in_memory(lambda: rank(fitted.scorer, task.dataset, task.config.max_length, task.device))
        write_run(out, spec, made_from, fitted, ranked, checkpoint.seconds())
        checkpoint.remove()


def rank_scores(spec: dict, data: Path, scores: Path, out: Path, seconds: int | None = None) -> None:
    """Rank every target by the `scores` of another program (ranking/score_file.py); write the run's files into `out`.

    `spec` describes the program's model; `seconds` is how long the program took, if that is known. UserError, before anything
    is written, if the scores do not fit the dataset in `data` or are not finite, or if `alterrec train` trains the model.
    """
    model = registry.model(spec["base"], spec["baselines"])
    if not model.external:
        raise UserError(f"{spec['base']} is trained by `alterrec train`: name a model with a .smk file")
    torch.set_num_threads(spec["threads"])
    dataset = Dataset.load(data)
    scorer = StoredScores.open(scores, dataset)
    ranked = in_memory(lambda: rank(scorer, dataset, ModelConfig().max_length, device()))
    with only_writer(out):
        clear_partial(out)
        (out / COMPLETE).unlink(missing_ok=True)  # of older scores
        write_run(out, spec, provenance(spec, data, out, machine()), Fitted(scorer), ranked, seconds)


def write_run(
    out: Path,
    spec: dict,
    made_from: dict,
    fitted: Fitted,
    ranked: tuple[pd.DataFrame, ...],
    seconds: float | None,
) -> None:
    """Write every file of a finished run, the one that completes it last. `ranked` is what `rank` returned.

    `seconds` is None where another program trained the model for an unknown time.
    """
    ranks, top, alpha = ranked
    for name in SUMMARY_ROWS.values():  # of a run that was restored here
        (out / name).unlink(missing_ok=True)
    write_parquet(out / "top.parquet", top)
    write_parquet(out / "alpha.parquet", alpha)
    write_parquet(out / "history.parquet", pd.DataFrame(fitted.history))
    with atomic(out / WEIGHTS) as temporary:
        temporary.write_bytes(safetensors.torch.save({k: v.contiguous() for k, v in fitted.state.items()}))
    write_json(out / "spec.json", spec)
    time = {} if seconds is None else {"seconds": seconds}
    write_json(out / "metrics.json", headline(ranks) | fitted.facts | time)
    with atomic(out / COMPLETE) as temporary:
        write_parquet(temporary, ranks)
        written = {name: checksum(out / name) for name in (*RESULTS, WEIGHTS)} | {
            COMPLETE: checksum(temporary)
        }
        write_json(out / "provenance.json", made_from | {"written": written})


def checkpoint_of(folder: Path, spec: dict, made_from: dict, deadline: float) -> Checkpoint:
    """The checkpoint in `folder` of the run that `spec` describes, made from what `provenance` returned."""
    return Checkpoint.of(folder, {"spec": spec} | made_from | {"machine": str(device())}, deadline)


def fit_model(
    spec: dict,
    data: Path,
    out: Path,
    checkpoint: Checkpoint | None = None,
    weights: Mapping[str, torch.Tensor] | None = None,
    share: Fraction = Fraction(1),
) -> tuple[Fitted, Task]:
    """Read what the run needs and fit its model: from the checkpoint on, or not at all with the `weights` of its run.

    Training stops after the first `share` of its epochs.
    """
    torch.set_num_threads(spec["threads"])
    set_determinism()
    if spec.get("portable") and not torch.cuda.is_available():
        use_portable_products(spec["threads"])
    model = registry.model(spec["base"], spec["baselines"])
    if model.external:
        raise UserError(f"{spec['base']} is trained by {model.path}, not by `alterrec train`")
    task = Task(
        dataset=Dataset.load(data),
        config=model.module.Config(**spec["config"]),
        seed=seed_sequence(spec["dataset"], spec["model"], spec["seed"]),
        text=load_text_vectors(data / TEXT.format(**spec)) if spec["encoder"] else None,
        required=required_runs(model, out),
        device=device(),
        checkpoint=checkpoint,
        weights=weights or {},
        share=share,
    )
    set_precision(getattr(task.config, "precision", "float32"))
    return model.module.fit(task), task


def headline(ranks: pd.DataFrame) -> dict:
    """Hits@20 and NDCG@20 over all prefixes, per split, for a quick look. Tables are made from the ranks instead."""
    found = {}
    for split, rows in ranks.groupby("split"):
        above, ties = rows["above"].to_numpy(), rows["ties"].to_numpy()
        found[split] = {
            f"Hits@{K}": float(np.mean(expected_hits(above, ties, K))),
            f"NDCG@{K}": float(np.mean(expected_ndcg(above, ties, K))),
        }
    return found


def execute_trial(spec: dict, share: Fraction, data: Path, out: Path, deadline: float = math.inf) -> None:
    """Train a trial of `snakemake tune` up to a share of its epochs; write its record (`tuning.RESULTS`) as JSON to `out`.

    It goes on from its checkpoint, which stays for the next rung, in the folder trial-<number> beside those of the rungs.
    A trial whose loss diverges, or whose settings do not fit the dataset, gets the score 0.
    """
    folder = out.parent.parent / f"trial-{spec['trial']}"
    with only_writer(folder):
        clear_partial(folder)
        checkpoint = checkpoint_of(folder, spec, provenance(spec, data, out, machine()), deadline)
        try:
            fitted, task = in_memory(lambda: fit_model(spec, data, out, checkpoint, share=share))
            if fitted.history:
                results = results_of(fitted.history)
            else:
                results = results_without_epochs(fitted, task, checkpoint.seconds())
        except UnfitSettings as error:
            logger.warning("%s", error)
            results = results_of([])
    write_json(out, {"spec": spec, "share": str(share)} | results)


def results_of(history: list[dict]) -> dict:
    """`tuning.RESULTS` of a trial with the epochs `history`. An epoch whose last step diverged has no score."""
    scored = [epoch for epoch in history if math.isfinite(epoch["hits20"])]
    best = max(scored, key=lambda epoch: epoch["hits20"], default={"hits20": 0.0, "epoch": 0})
    last_of_network = {epoch["network"]: epoch for epoch in history}
    return {
        "validation_hits20": best["hits20"],
        "best_epoch": best["epoch"],
        "epochs": len(history),
        "updates": sum(epoch["updates"] for epoch in last_of_network.values()),
        "seconds": sum(epoch["seconds"] for epoch in history),
    }


def results_without_epochs(fitted: Fitted, task: Task, seconds: float) -> dict:
    """`tuning.RESULTS` of a trial whose model trains no network and was fitted in some `seconds`."""
    windows = Windows(task.dataset, ("validation",), task.config.max_length, task.device)
    hits = mean_hits(fitted.scorer.scores, windows)["model"]
    return results_of([]) | {"validation_hits20": hits, "seconds": seconds}
