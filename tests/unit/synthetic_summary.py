"""Writes a synthetic summary folder with the columns of the schema: two datasets, one twin, every family of models."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from alterrec.analysis.summary_schema import COLUMNS, VERSION
from alterrec.inference.statistics import LEVEL
from alterrec.ranking.metrics import K

SEEDS = (1, 2, 3)
SINGLE = {"id_only": "id", "text_only": "text", "id_only_sampled": "id", "text_only_sampled": "text"}
FUSIONS = ("fusion_sum", "fusion_concat", "fusion_gate", "fusion_score", "fusion_sum_ogm")
VARIANT_OF = {"fusion_sum_ogm": "fusion_sum"}
BLENDED = ("fusion_score", "late_ensemble", "alterrec", "alterrec_aug")
HITS = {  # test Hits@20, all prefixes
    "random": 0.002, "popularity": 0.031, "oracle": 0.99, "id_only": 0.17, "text_only": 0.189,
    "fusion_sum": 0.178, "fusion_concat": 0.176, "fusion_gate": 0.181, "fusion_score": 0.184,
    "fusion_sum_ogm": 0.182,
    "id_ensemble": 0.176, "late_ensemble": 0.2046, "alterrec": 0.2075, "alterrec_aug": 0.2081,
    "alterrec_random": 0.2062, "alterrec_separate": 0.2071, "id_only_sampled": 0.172, "text_only_sampled": 0.186,
    "late_ensemble_sampled": 0.1985, "newcomer_100%": 0.195,
}  # fmt: skip
LABELS = {
    "random": "Random", "popularity": "Popularity", "oracle": "Oracle", "id_only": "ID only",
    "text_only": "Text only", "fusion_sum": "Fusion (sum)", "fusion_concat": "Fusion (concat)",
    "fusion_gate": "Fusion (gate)", "fusion_score": "Fusion (score)", "id_ensemble": "ID ensemble",
    "fusion_sum_ogm": "Fusion (sum, OGM-GE)",
    "late_ensemble": "Late ensemble", "alterrec": "AlterRec", "alterrec_aug": "AlterRec (aug)",
    "alterrec_random": "AlterRec (random negatives)", "alterrec_separate": "AlterRec (separate)",
    "id_only_sampled": "ID only (sampled)", "text_only_sampled": "Text only (sampled)",
    "late_ensemble_sampled": "Late ensemble (sampled)", "newcomer_100%": "Newcomer & Co_100%",
}  # fmt: skip
FAMILY = {"random": "control", "popularity": "control", "oracle": "control", "newcomer_100%": "external"}
BINS = [(0, 0), (1, 3), (4, 9), (10, 24), (25, 88), (89, 2310)]


def family(model: str) -> str:
    """The family of a model in this study."""
    if model in FAMILY:
        return FAMILY[model]
    if "_ensemble" in model:
        return "ensemble"
    return {"fusion": "fusion", "alterrec": "method"}.get(model.split("_")[0], "single")


def write(folder: Path, models=tuple(HITS), datasets=("journey-drugstore", "beauty")) -> Path:
    """Write the summary of a study of these models on these datasets. The first dataset has a twin."""
    folder.mkdir(parents=True, exist_ok=True)
    twin = f"{datasets[0]}-permuted"
    about = {d: {"twin_of": None} for d in datasets} | {twin: {"twin_of": datasets[0]}}
    base = {m: "alterrec" if m == "alterrec_random" else m for m in models}
    about[datasets[0]]["label"] = "Drugstore"
    networks = {"late_ensemble": ["id_only", "text_only"], "id_ensemble": ["id_only"]}
    named = {
        m: {"base": base[m], "family": family(m), "networks": networks.get(m, [m]), "label": LABELS[m]}
        | {"variant_of": VARIANT_OF.get(m)}
        for m in models
    }
    cells = [{"dataset": d, "model": m, "seed": s} for d in about for m in models for s in seeds_of(m)]
    study = {"name": "synthetic", "seeds": list(SEEDS), "cells": cells, "datasets": about, "models": named}
    study |= {"version": VERSION, "k": K, "level": LEVEL}
    (folder / "study.json").write_text(json.dumps(study, sort_keys=True), encoding="utf-8")
    draw = np.random.default_rng(7)
    tables = {
        "datasets": datasets_table(about),
        "metrics": metrics_table(about, models, draw),
        "significance": significance_table(about, models, draw),
        "claims": claims_table(datasets, draw),
        "long_tail": long_tail_table(about, models, draw),
        "coverage": coverage_table(about, models, draw),
        "imbalance": imbalance_table(about, models, draw),
        "undertraining": undertraining_table(about, models),
        "permuted": permuted_table(datasets[0], twin, models),
        "alpha": alpha_table(about, models, draw),
        "history": history_table(about, models, draw),
        "tuning": tuning_table(about, models, draw),
        "budgets": budgets_table(about, models),
        "cost": per_seed(about, models, lambda m: {"seconds": 1500 * draw.uniform(0.5, 1)}),
    }
    for name, frame in tables.items():
        frame.reindex(columns=[*COLUMNS[name]]).to_parquet(folder / f"{name}.parquet")
    return folder


def seeds_of(model: str) -> tuple[int, ...]:
    return SEEDS[:1] if family(model) == "control" else SEEDS


def per_seed(datasets, models, values) -> pd.DataFrame:
    rows = [
        {"dataset": d, "model": m, "seed": s, **values(m)}
        for d in datasets
        for m in models
        for s in seeds_of(m)
    ]
    return pd.DataFrame(rows)


def datasets_table(about) -> pd.DataFrame:
    rows = []
    for number, (name, one) in enumerate(about.items()):
        rows.append(
            {"dataset": name, "source": "synthetic", "licence": "CC0-1.0", "sessions_train": 17890 + number,
             "sessions_validation": 2236, "sessions_test": 2237, "instances_train": 131413,
             "instances_validation": 16401,
             "instances_test": 16502, "items": 12101, "warm_items": 12000, "cold_items": 101,
             "distinct_texts": 11870,
             "mean_length": 8.88, "cold_test_targets": 212, "demo": "journey" in name,
             "order_known": "journey" not in name,
             "twin_of": one["twin_of"], "note": "synthetic"}
        )  # fmt: skip
    return pd.DataFrame(rows)


def metrics_table(datasets, models, draw) -> pd.DataFrame:
    """Every split, part, scope, set of targets, catalogue, metric and cut-off of the schema."""
    rows = []
    for dataset in datasets:
        for model in models:
            parts = {"model": 1.0} | {
                p: 1.0 if model in SINGLE else 0.97 if p == "id" else 0.7
                for p in ("id", "text")
                if SINGLE.get(model, p) == p and model in (*SINGLE, *FUSIONS, *BLENDED)
            }
            if {"id", "text"} <= set(parts):
                parts["both"] = 0.5
            for seed in seeds_of(model):
                hits = HITS[model] + (0.002 * draw.standard_normal() if len(seeds_of(model)) > 1 else 0)
                hits *= 0.6 if dataset.endswith("-permuted") and model != "id_only" else 1.0
                for part, weight in parts.items():
                    rows += metric_rows(
                        {"dataset": dataset, "model": model, "seed": seed, "part": part}, hits * weight
                    )
    return pd.DataFrame(rows)


def metric_rows(cell: dict, hits: float) -> list[dict]:
    rows = []
    for split in ("validation", "test"):
        for scope, a in (("all", 1.0), ("last", 0.8)):
            for targets, b in (("all", 1.0), ("warm", 1.02), ("cold", 0.1)):
                for catalogue, c in (("full", 1.0), ("unseen", 0.95)):
                    where = {"split": split, "scope": scope, "targets": targets, "catalogue": catalogue}
                    for metric, d in (("Hits", 1.0), ("NDCG", 0.5), ("MRR", 0.35)):
                        for k, e in ((1, 0.2), (5, 0.5), (10, 0.72), (20, 1.0), (50, 1.01)):
                            value = {
                                "metric": metric,
                                "k": k,
                                "value": hits * a * b * c * d * e,
                                "instances": 16502,
                            }
                            rows.append(cell | where | value)
    return rows


def significance_table(datasets, models, draw) -> pd.DataFrame:
    fusions = [m for m in models if family(m) == "fusion"]
    pairs = [("alterrec", m) for m in models if m not in ("alterrec", "oracle") and "alterrec" in models]
    pairs += [
        pair
        for pair in (
            ("late_ensemble_sampled", "late_ensemble"),
            ("alterrec_random", "late_ensemble_sampled"),
            ("alterrec_separate", "late_ensemble_sampled"),
        )
        if set(pair) <= set(models)
    ]
    untouched = [f for f in fusions if f not in VARIANT_OF]
    pairs += [(f, m) for f in untouched for m in ("id_only", "text_only", "late_ensemble") if m in models]
    pairs += [(variant, varied) for variant, varied in VARIANT_OF.items() if {variant, varied} <= {*models}]
    rows = []
    for dataset in datasets:
        for a, b in pairs:
            for scope in ("all", "last"):
                for metric, weight in (("Hits", 1.0), ("NDCG", 0.5)):
                    difference = weight * (HITS[a] - HITS[b])
                    p = float(min(1.0, np.exp(-abs(difference) / 0.001)))
                    rows.append(
                        {"dataset": dataset, "model_a": a, "model_b": b, "scope": scope, "metric": metric,
                         "k": 20,
                         "mean_a": weight * HITS[a], "mean_b": weight * HITS[b],
                         "difference": difference, "se": 0.0015,
                         "df": 7.3, "low": difference - 0.003, "high": difference + 0.003, "p": p,
                         "se_i": 0.001,
                         "low_i": difference - 0.002, "high_i": difference + 0.002, "p_i": p / 2,
                         "boot_low": difference - 0.0031, "boot_high": difference + 0.0029, "p_wilcoxon": p,
                         "p_signflip": p,
                         "d_z": draw.normal(0, 0.1), "wins": 310, "ties": 1700, "losses": 227,
                         "sessions": 2237,
                         "instances": 16502, "seeds_a": 3, "seeds_b": 3, "p_holm": min(1.0, 8 * p),
                         "p_bh": min(1.0, 2 * p)}
                    )  # fmt: skip
    return pd.DataFrame(rows)


def claims_table(datasets, draw) -> pd.DataFrame:
    """Eight claims in every scope and metric; for the primary metric each has one component."""
    rows = []
    for dataset in datasets:
        for number in range(1, 9):
            for scope in ("all", "last"):
                for metric in ("Hits", "NDCG"):
                    main = (scope, metric) == ("all", "Hits")
                    for component in range(2 if main else 1):
                        rows.append(
                            claim_row(dataset, number, scope, metric, main, component, draw.normal(0, 0.004))
                        )
    return pd.DataFrame(rows)


def claim_row(dataset, number, scope, metric, main, component, difference) -> dict:
    return {
        "claim": f"C{number}",
        "dataset": dataset,
        "statement": f"component {number}" if component else f"Statement {number} on text & ID.",
        "rule": f"Supported where the interval of difference {number} lies above 0.",
        "comparison": "alterrec - late_ensemble",
        "scope": scope,
        "metric": metric,
        "primary": main and component == 0,
        "difference": difference,
        "low": difference - 0.003,
        "high": difference + 0.003,
        "p": 0.02,
        "p_holm": np.nan if component else 0.16,
        "verdict": ("supported", "refuted", "undecided")[number % 3],
        "note": "no twin; demo data" if number == 8 else "demo data",
    }


def long_tail_table(datasets, models, draw) -> pd.DataFrame:
    best = max((m for m in models if family(m) == "fusion"), key=HITS.get, default=None)
    share = np.array([0.12, 0.45, 0.7, 0.95, 1.2, 1.6])
    rows = []
    for dataset in datasets:
        for number, (low, high) in enumerate(BINS):
            value = {m: HITS[m] * share[number] * draw.uniform(0.95, 1.05) for m in models}
            value["id_only"] = HITS["id_only"] * share[number] * (0 if number == 0 else 0.9)
            for model in models:
                gain = value[model] / value["id_only"] - 1 if value["id_only"] else np.nan
                difference = value[model] - value["id_only"] if "id_only" in models else np.nan
                rows.append(
                    {"dataset": dataset, "model": model, "bin": number,
                     "bin_label": "cold" if not number else f"{low}-{high}",
                     "low_count": low, "high_count": high, "metric": "Hits", "k": 20, "value": value[model],
                     "low": value[model] * 0.93, "high": value[model] * 1.07,
                     "instances": 212 if not number else 3258,
                     "difference": difference, "difference_low": difference - 0.01,
                     "difference_high": difference + 0.01,
                     "gain_over_id_only": gain,
                     "gain_over_best_fusion": value[model] / value[best] - 1 if best else np.nan,
                     "best_fusion": best}
                )  # fmt: skip
    return pd.DataFrame(rows)


def coverage_table(datasets, models, draw) -> pd.DataFrame:
    return per_seed(
        datasets,
        models,
        lambda m: {
            "coverage": draw.uniform(0.3, 0.9),
            "gini": draw.uniform(0.4, 0.9),
            "mean_popularity": draw.uniform(8, 90),
        },
    )


def curve(epochs: int, top: float, speed: float, draw) -> np.ndarray:
    """A rising learning curve with noise."""
    return top * (1 - np.exp(-np.arange(1, epochs + 1) / speed)) + 0.001 * draw.standard_normal(epochs)


def imbalance_table(datasets, models, draw) -> pd.DataFrame:
    frames = []
    for dataset in datasets:
        for model in [m for m in models if m in SINGLE or m in FUSIONS]:
            for seed in SEEDS:
                epochs = 24 + 2 * seed
                for part in ("id", "text") if model in FUSIONS else (SINGLE[model],):
                    alone = model in SINGLE
                    top = (0.17 if part == "id" else 0.19) * (
                        1 if alone else 0.98 if part == "id" else 0.4 + 0.1 * FUSIONS.index(model)
                    )
                    hits = curve(epochs, top * draw.uniform(0.97, 1.03), 4 if part == "id" else 8, draw)
                    slow = 1 if alone or part == "id" else 0.3 + 0.1 * FUSIONS.index(model)
                    decay = np.exp(-np.arange(epochs) / 9)
                    share = 0.5 + (0.4 if part == "id" else -0.4) * decay
                    frames.append(
                        pd.DataFrame(
                            {"dataset": dataset, "model": model, "seed": seed,
                             "network": part if alone else "joint",
                             "network_epoch": np.arange(1, epochs + 1),
                             "updates": 257 * np.arange(1, epochs + 1), "part": part,
                             "hits20": hits, "loss": 9.4 - 20 * hits, "gradient_norm": slow * decay,
                             "gradient_ratio": slow * draw.uniform(0.9, 1.1), "update_size": slow * decay,
                             "update_ratio": slow * draw.uniform(0.9, 1.1),
                             "score_share": np.nan if alone else share}
                        )
                    )  # fmt: skip
    return pd.concat(frames) if frames else pd.DataFrame(columns=COLUMNS["imbalance"])


def undertraining_table(datasets, models) -> pd.DataFrame:
    rows = []
    for dataset in datasets:
        for model in [m for m in models if m in FUSIONS]:
            for part, alone, inside in (("id", 0.17, 0.168), ("text", 0.19, 0.105)):
                gap = alone - inside
                rows.append(
                    {"dataset": dataset, "model": model, "part": part, "alone": alone, "inside": inside,
                     "gap": gap,
                     "low": gap - 0.004, "high": gap + 0.004, "p": 0.3 if part == "id" else 1e-6}
                )  # fmt: skip
    columns = ["dataset", "model", "part", "alone", "inside", "gap", "low", "high", "p"]
    return pd.DataFrame(rows, columns=columns)


def permuted_table(dataset, twin, models) -> pd.DataFrame:
    rows = [
        {
            "dataset": dataset,
            "twin": twin,
            "model": m,
            "difference": 0.02,
            "low": 0.01,
            "high": 0.03,
            "p": 0.01,
        }
        for m in models
    ]
    return pd.DataFrame(rows, columns=["dataset", "twin", "model", "difference", "low", "high", "p"])


def alpha_table(datasets, models, draw) -> pd.DataFrame:
    rows, grid = [], np.round(np.arange(0, 1.05, 0.1), 1)
    for dataset in datasets:
        for model in [m for m in models if m in BLENDED]:
            for seed in SEEDS:
                for blend, centre in (("raw", 0.75), ("zscore", 0.4)):
                    for split in ("validation", "test"):
                        top = (
                            HITS[model]
                            + 0.001 * draw.standard_normal()
                            + (0.002 if split == "validation" else 0)
                        )
                        for alpha in grid:
                            chosen = (blend, alpha) == ("zscore", 0.4 if seed > 1 else 0.5)
                            for metric, weight in (("Hits", 1.0), ("NDCG", 0.48)):
                                value = weight * (top - 0.06 * (alpha - centre) ** 2)
                                rows.append(
                                    (dataset, model, seed, blend, alpha, split, metric, 20, value, chosen)
                                )
    return pd.DataFrame(
        rows,
        columns=["dataset", "model", "seed", "blend", "alpha", "split", "metric", "k", "value", "chosen"],
    )


def history_table(datasets, models, draw) -> pd.DataFrame:
    """Alternating networks (two epochs each, ID first), joint networks and networks that are trained alone."""
    rows = []
    for dataset in datasets:
        for model in [m for m in models if family(m) in ("single", "fusion", "method")]:
            for seed in SEEDS:
                rows += history_rows({"dataset": dataset, "model": model, "seed": seed}, draw)
    return pd.DataFrame(rows)


def history_rows(cell: dict, draw) -> list[dict]:
    model, epochs = cell["model"], 24 + 2 * cell["seed"]
    alternating = family(model) == "method"
    tops = {"id": 0.17, "text": 0.105 if model in FUSIONS else 0.19}
    curves = {
        part: curve(2 * epochs, top * (1.05 if alternating else 1), 6, draw) for part, top in tops.items()
    }
    done, rows = {"id": 0, "text": 0, "joint": 0}, []
    for epoch in range(1, (2 * epochs if alternating else epochs) + 1):
        network = ("id", "text")[((epoch - 1) // 2) % 2] if alternating else SINGLE.get(model, "joint")
        done[network] += 1
        own = {part: done["joint"] if network == "joint" else done[part] for part in tops}
        hits = {part: curves[part][own[part] - 1] if own[part] else np.nan for part in tops}
        row = cell | {
            "epoch": epoch,
            "network": network,
            "network_epoch": done[network],
            "updates": 257 * done[network],
        }
        row |= {
            "mode": "full" if not alternating else "random" if epoch <= 4 else "hard",
            "learning_rate": 1e-3,
        }
        row |= {"loss": 9 - 0.1 * epoch, "hits20": np.nanmax(list(hits.values())) * 1.04, "seconds": 30.0}
        for part in tops:
            value = hits[part] if SINGLE.get(model, part) == part else np.nan
            row |= {f"{part}_hits20": value, f"{part}_loss": 9.4 - 20 * value}
        rows.append(row)
    return rows


def budgets_table(datasets, models) -> pd.DataFrame:
    rows = []
    for dataset, model in product(
        datasets, [m for m in models if family(m) in ("single", "fusion", "method")]
    ):
        alternating = family(model) == "method"
        for seed in SEEDS:
            for network in ("id", "text") if alternating else (SINGLE.get(model, "joint"),):
                epochs = 24 + 2 * seed
                treated = 5.0 if alternating else np.nan
                rows.append(
                    (dataset, model, seed, network, 257 * epochs, 131_000 * epochs, epochs - 3.0, treated)
                )
    return pd.DataFrame(rows, columns=COLUMNS["budgets"])


def tuning_table(datasets, models, draw) -> pd.DataFrame:
    """24, 8 and 3 trials in three rungs, of every neural model on every dataset that is not a twin."""
    rows = []
    for dataset in [d for d, about in datasets.items() if not about["twin_of"]]:
        for model in [m for m in models if family(m) in ("single", "fusion", "method")]:
            trials = [tuning_trial(model, number, draw) for number in range(1, 25)]
            for rung, kept in enumerate((24, 8, 3), 1):
                trials = sorted(trials, key=lambda each: -each["validation_hits20"])[:kept]
                trials = [each | {"validation_hits20": each["validation_hits20"] + 0.01} for each in trials]
                about = {"dataset": dataset, "model": model, "seed": 0, "rung": rung, "edge": ""}
                cost = {"best_epoch": 3**rung, "epochs": 3**rung, "updates": 257 * 3**rung, "seconds": 2.5}
                rows += [about | each | cost for each in trials]
            rows[-kept]["edge"] = "learning_rate"
    return pd.DataFrame(rows, columns=COLUMNS["tuning"])


def tuning_trial(model: str, number: int, draw) -> dict:
    """A trial with random settings, and those of a text branch if the model has one."""
    branch = {
        "learning_rate": 10 ** draw.uniform(-4, -2.5),
        "dropout": draw.uniform(0, 0.8),
        "initialisation": draw.choice(["authors", "xavier"]),
        "schedule": draw.choice(["constant", "step"]),
    }
    text = {f"text_{key}": value for key, value in branch.items()} if family(model) != "single" else {}
    own = f"k1 {20 + number}, m_gap 2" if family(model) == "method" else ""
    score = HITS[model] - 0.03 - 0.04 * draw.uniform()
    return {"trial": number, "own": own, "validation_hits20": score} | branch | text
