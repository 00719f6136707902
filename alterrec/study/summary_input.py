"""What `alterrec summarise` is given: the cells with their folders, and facts of datasets and models."""

from pathlib import Path

from alterrec.study.config_file import located
from alterrec.study.resolve import Study


def summary_input(study: Study, results: Path) -> dict:
    """The input as plain JSON values. `networks` of a model names the models that trained its networks."""
    config, folder = study.config, results / study.config.name
    return {
        "tuning": tuning_record(study),
        "name": config.name,
        "seeds": config.seeds,
        "cells": [
            {"dataset": d, "model": m, "seed": s, "path": str(folder / "runs" / d / m / f"seed-{s}")}
            for d, m, s in study.cells()
        ],
        "datasets": {
            name: {
                "path": str(folder / "data" / name),
                "twin_of": study.twin_of(name),
                "label": study.label("dataset", name),
            }
            for name in config.datasets
        },
        "models": {name: about_model(study, name) for name in config.models},
    }


def about_model(study: Study, name: str) -> dict:
    model = study.model(name)
    return {
        "base": model.name,
        "family": model.family,
        "networks": [*model.requires] or [name],
        "label": study.label("model", name),
        "deterministic": model.deterministic,
    }


def tuning_record(study: Study) -> str | None:
    """The record of the tuning grid, which lies beside the settings chosen from it; None if the study has none."""
    tuned = study.config.tuned
    record = located(tuned).with_suffix(".csv") if tuned else None
    return str(record) if record and record.is_file() else None
