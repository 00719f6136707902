"""A study's config file: what it may hold, and how it is read."""

from itertools import product
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from alterrec import registry
from alterrec.errors import UserError
from alterrec.study.settings import TUNED, Dropout, Rate, Schedule, TextInitialisation


class TuningConfig(BaseModel):
    """The grid that every tuned model gets; a text network alone may also try another scale."""

    model_config = ConfigDict(extra="forbid")

    models: list[str] = Field(default_factory=list, description="models to tune; all neural ones if empty")
    datasets: list[str] = Field(
        default_factory=list, description="datasets to tune on; all but twins if empty"
    )
    seed: int = Field(0, description="the seed of tuning runs, not one of the study's")
    initialisation: list[TextInitialisation] = Field(
        default=["authors", "xavier"],
        min_length=1,
        description="'unit_gain' is tried on a text network alone, the others on every model",
    )
    learning_rate: list[Rate] = Field(default=[3e-4, 1e-3, 3e-3], min_length=1)
    schedule: list[Schedule] = Field(default_factory=list, description="as in `defaults` if empty")
    dropout: list[Dropout] = Field(default_factory=list, description="as in `defaults` if empty")

    def points(self) -> list[dict]:
        """Every combination of the settings that are varied."""
        varied = {key: values for key in TUNED if (values := getattr(self, key))}
        return [dict(zip(varied, point, strict=True)) for point in product(*varied.values())]


class StudyConfig(BaseModel):
    """A study, as written in workflow/config/*.yaml."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="results go to results/<name>/")
    datasets: list[str] = Field(min_length=1, description="datasets to run, by name")
    models: list[str] = Field(min_length=1, description="models to run, by name")
    seeds: list[int] = Field(
        min_length=1, description="seeds of training; deterministic models use the first"
    )
    encoder: str = Field(
        "all_minilm_l6_v2",
        description="text encoder: a file of alterrec/encoders/ or one of encoder_definitions",
    )
    mirror: str | None = Field(
        None, description="folder or address that serves every file, for machines without internet"
    )
    baselines: list[str] = Field(default_factory=list, description="further folders with one file per model")
    tuned: str | None = Field(
        None, description="YAML: dataset -> model -> settings chosen by `snakemake tune`"
    )
    threads: int = Field(1, ge=1, description="torch threads of a training run; results may depend on it")
    deterministic: bool = Field(
        False, description="the same bits on a GPU too, at a cost; a CPU always gives them"
    )
    memory_budget: float | None = Field(
        None, gt=0, description="GiB that scores may take at once; null = a quarter of what is free"
    )
    defaults: dict[str, Any] = Field(
        default_factory=dict, description="settings for every model that knows the key"
    )
    dataset_definitions: dict[str, dict[str, Any]] = Field(default_factory=dict)
    model_definitions: dict[str, dict[str, Any]] = Field(default_factory=dict)
    encoder_definitions: dict[str, dict[str, Any]] = Field(default_factory=dict)
    tuning: TuningConfig = Field(default_factory=TuningConfig)


def located(path: str) -> Path:
    """A file by its path from here, or from the repository where it is not here."""
    from_repository = registry.PACKAGE.parent / path
    return from_repository if not Path(path).is_file() and from_repository.is_file() else Path(path)


def read_yaml(path: Path) -> dict:
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {error}") from None
