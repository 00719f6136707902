"""Planted runs with a known truth: how often each model hits, and how much seeds and sessions vary."""

from pathlib import Path

import numpy as np
import pandas as pd

from alterrec.data.dataset import Dataset
from alterrec.files import write_json, write_parquet
from alterrec.inference.statistics import SessionSums
from alterrec.ranking.instances import instance_table
from alterrec.ranking.metrics import K

MODELS = {
    "random": {"family": "control"},
    "oracle": {"family": "control"},
    "id_only": {"family": "single"},
    "text_only": {"family": "single"},
    "fusion_sum": {"family": "fusion"},
    "fusion_concat": {"family": "fusion"},
    "fusion_gate": {"family": "fusion"},
    "fusion_score": {"family": "fusion"},
    "late_ensemble": {"family": "ensemble", "networks": ["id_only", "text_only"]},
    "late_ensemble_sampled": {
        "family": "ensemble",
        "networks": ["id_only_sampled", "text_only_sampled"],
    },
    "id_ensemble": {"family": "ensemble", "networks": ["id_only"]},
    "alterrec": {"family": "method"},
    "alterrec_aug": {"family": "method"},
    "alterrec_random": {"family": "method"},
    "alterrec_separate": {"family": "method"},
}
MODELS = {name: {"base": name, "networks": [name], "label": name, **about} for name, about in MODELS.items()}
RATES = {
    "random": 0.02,
    "id_only": 0.17,
    "text_only": 0.19,
    "late_ensemble": 0.2,
    "id_ensemble": 0.18,
    "alterrec": 0.25,
}
RATES = {name: RATES.get(name, 0.16) for name in MODELS} | {"alterrec_aug": 0.3, "alterrec_random": 0.21}
RESAMPLES = 200  # enough for a p-value of 1 / 201
THRESHOLD = 0.954  # a standard normal value exceeds this with probability 0.17, which is a hit
DENSITY = 0.253  # of a standard normal there: shifting the value by d raises the rate of hits by DENSITY * d


def two_models(
    random: np.random.Generator,
    sessions: int = 1000,
    seeds: int = 3,
    seed_sd: float = 0.0,
    difference: float = 0.0,
) -> tuple[SessionSums, SessionSums]:
    """Hits of two models at a rate of about 0.17. `seed_sd` and `difference` are in units of that rate.

    The variance of an instance's latent value comes from its session (20 %), from what both models share (45 %), from
    what the seeds of a model share (10 %) and from noise (25 %).
    """
    counts = random.geometric(0.35, sessions)
    total, starts = counts.sum(), np.concatenate([[0], np.cumsum(counts)[:-1]])
    shared = np.repeat(random.normal(0, np.sqrt(0.2), sessions), counts) + random.normal(
        0, np.sqrt(0.45), total
    )
    models = []
    for name, effect in (("a", difference), ("b", 0.0)):
        latent = random.normal(0, np.sqrt(0.25), (total, seeds))
        latent += (shared + random.normal(0, np.sqrt(0.1), total))[:, None]
        latent += (effect + random.normal(0, seed_sd, seeds)) / DENSITY
        hits = np.add.reduceat((latent > THRESHOLD).astype(float), starts, axis=0)
        models.append(SessionSums(hits, counts, tuple(range(seeds)), frozenset([name]), name=name))
    return models[0], models[1]


def planted_dataset(sessions: int = 300, items: int = 400, seed: int = 0, **card) -> Dataset:
    """Sessions of 2 to 8 items of a skewed catalogue: half for training, a quarter each for validation and test."""
    random = np.random.default_rng(seed)
    length = random.integers(2, 9, sessions)
    popularity = 1 / np.arange(1, items + 1)
    flat = random.choice(items, length.sum(), p=popularity / popularity.sum()).astype(np.int32)
    split = np.array(["train", "train", "validation", "test"] * sessions)[:sessions]
    offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    in_training = np.repeat(split == "train", length)
    return Dataset(
        session_id=np.array([f"s{i}" for i in range(sessions)]),
        split=split,
        targets=(np.diff(offsets) - 1).astype(np.int32),
        flat=flat,
        offsets=offsets,
        item_id=np.array([f"i{i}" for i in range(items)]),
        text=np.array([f"item number {i}" for i in range(items)]),
        train_count=np.bincount(flat[in_training], minlength=items).astype(np.int32),
        card={"source": "planted", "licence": "none", "demo": False, "order_known": True} | card,
    )


def planted_ranks(
    instances: pd.DataFrame,
    items: int,
    rate: float,
    random: np.random.Generator,
    parts: dict[str, float] | None = None,
) -> pd.DataFrame:
    """Valid ranks of a model and its `parts`, each of which hits at K with its own probability."""
    frame = instances.drop(columns="seen").copy()
    rates = {"": rate} | {f"{part}_": part_rate for part, part_rate in (parts or {}).items()}
    for prefix, hit_rate in rates.items():
        hit = random.random(len(frame)) < hit_rate
        above = np.where(hit, random.integers(0, K, len(frame)), random.integers(K, items, len(frame)))
        frame[f"{prefix}above"], frame[f"{prefix}ties"] = above.astype(np.int32), np.int32(0)
    frame["above_unseen"] = np.where(instances["seen"], items, frame["above"]).astype(np.int32)
    frame["ties_unseen"] = np.int32(0)
    return frame


def planted_study(
    folder: Path, datasets: dict[str, str | None], rates=None, seeds=(1, 2, 3), sessions: int = 300, **card
) -> dict:
    """Write datasets (name -> the dataset it is a twin of) and their runs. Return the study that `summarise` takes."""
    rates = RATES if rates is None else rates
    study = {"name": "planted", "seeds": list(seeds), "cells": [], "models": {m: MODELS[m] for m in rates}}
    study["datasets"] = {
        name: {"path": str(folder / "data" / name), "twin_of": twin, "label": name}
        for name, twin in datasets.items()
    }
    dataset = planted_dataset(sessions, **card)
    instances = instance_table(dataset)
    for name in datasets:
        dataset.save(folder / "data" / name)
        for number, (model, rate) in enumerate(rates.items()):
            for seed in seeds[:1] if MODELS[model]["family"] == "control" else seeds:
                path = folder / "runs" / name / model / f"seed-{seed}"
                random = np.random.default_rng([number, seed, len(name)])
                write_run(path, instances, dataset, model, rate, seed, random)
                study["cells"].append({"dataset": name, "model": model, "seed": seed, "path": str(path)})
    return study


def write_run(
    path: Path, instances: pd.DataFrame, dataset: Dataset, model: str, rate: float, seed: int, random
) -> None:
    """Write all files that `summarise` reads of one run."""
    items = dataset.catalogue_size
    fused = model.startswith(("fusion", "alterrec", "late"))
    ranks = planted_ranks(instances, items, rate, random, {"id": 0.17, "text": 0.1} if fused else None)
    write_parquet(path / "ranks.parquet", ranks)
    test = ranks.loc[ranks["split"] == "test", ["session", "position"]]
    lists = list(random.integers(0, items, (len(test), min(K, items))).astype(np.int32))
    write_parquet(path / "top.parquet", test.assign(items=lists))
    network = {"id_only": "id", "text_only": "text"}.get(model, "joint")
    facts = {"seconds": 12.5, "kept_epochs": {network: 3}}
    if model in ("late_ensemble", "alterrec"):
        keys = ranks[["split", "session", "position", "above", "ties"]]
        grid = [keys.assign(blend=b, alpha=a) for b in ("raw", "zscore") for a in (0.0, 0.5, 1.0)]
        write_parquet(path / "alpha.parquet", pd.concat(grid, ignore_index=True))
        facts |= {"blend": "zscore", "alpha": 0.5}
    epochs = np.arange(1, 4)
    history = {
        "epoch": epochs,
        "network": network,
        "network_epoch": epochs,
        "updates": 10 * epochs,
        "labels": 500 * epochs,
        "mode": "full",
    }
    history |= {"learning_rate": 0.001, "loss": 5.0 - epochs, "hits20": 0.1 * epochs, "seconds": 1.0}
    for part in ("id", "text"):
        has_part = fused or network == part
        history[f"{part}_hits20"] = 0.1 * epochs if has_part else np.nan
        history[f"{part}_loss"] = 4.0 if has_part else np.nan
        # A fusion's gradients are half, its updates a quarter of those of the networks alone, which vary by seed.
        alone = seed if has_part else np.nan
        history[f"{part}_gradient_norm"] = alone / 2 if fused else alone
        history[f"{part}_update_size"] = alone / (4 * epochs) if fused else alone / epochs
    history["id_score_share"] = 0.6 if fused else np.nan
    write_parquet(path / "history.parquet", pd.DataFrame(history))
    write_json(path / "metrics.json", facts)
