"""The input of `alterrec summarise`: the cells with their folders, and what is known of datasets and models."""

from pathlib import Path

from alterrec.study.config_file import find_file
from alterrec.study.resolve import Study
from alterrec.study.run_paths import DATA, RUN, of_cell

COMPARED = ("single", "fusion", "ensemble", "method")
"""The families whose models claims compare, and whose labels a page needs although the study lacks them."""


def summary_input(study: Study, results: Path) -> dict:
    """The input as plain JSON values. `results` is the folder of all studies."""
    config, folder = study.config, results / study.config.name
    return {
        "tuning": tuning_record(study),
        "name": config.name,
        "seeds": config.seeds,
        "cells": [
            {"dataset": d, "model": m, "seed": s, "path": str(folder / of_cell(RUN, (d, m, s)))}
            for d, m, s in study.cells()
        ],
        "datasets": {
            name: {
                "path": str(folder / DATA.format(dataset=name)),
                "twin_of": study.twin_of(name),
                "label": study.dataset_label(name),
            }
            for name in config.datasets
        },
        "models": {name: model_facts(study, name) for name in config.models},
        "models_not_in_study": {
            name: {"family": model.family, "label": model.label}
            for name, model in study.registered.items()
            if name not in config.models and model.family in COMPARED
        },
    }


def model_facts(study: Study, name: str) -> dict:
    """What the tables need to know of a model. `networks` names the models whose runs trained its networks."""
    model = study.model(name)
    return {
        "base": model.name,
        "family": model.family,
        "networks": [*model.requires] or [name],
        "variant_of": study.variant_of(name),
        "label": study.model_label(name),
        "deterministic": model.deterministic,
    }


def tuning_record(study: Study) -> str | None:
    """Path of the CSV record of tuning, which lies beside the file `tuned`; None if there is none."""
    tuned = study.config.tuned
    record = find_file(tuned).with_suffix(".csv") if tuned else None
    return str(record) if record and record.is_file() else None
