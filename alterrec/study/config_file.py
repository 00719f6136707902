"""The keys of a study's config file, and how the file is read.

The descriptions of the fields are the reference documentation (docs/configuration.md).
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, field_validator

from alterrec import registry
from alterrec.errors import UserError
from alterrec.study.search_space import SHARED, Space


class TuningConfig(BaseModel):
    """The search of `snakemake tune`. Every tuned model gets the same number of trials from one space."""

    model_config = ConfigDict(extra="forbid")

    models: list[str] = Field(
        default_factory=list,
        description="Models to tune. If empty, all of the study that train every network themselves, and those without "
        "learning whose file declares a space",
    )
    datasets: list[str] = Field(
        default_factory=list,
        description="Datasets to tune on. If empty, all of the study except those with permuted texts",
    )
    seed: int = Field(
        0, description="Seed of the tuning runs and of the points tried. It should not be a seed of the study"
    )
    trials: int = Field(24, ge=1, description="Number of points that each model tries on each dataset")
    rungs: int = Field(
        3,
        ge=1,
        description="Number of rungs of successive halving. The last rung trains all epochs, and each one before it a "
        "third as many as the next. After a rung the best third of its trials goes on. A model without epochs has one rung, "
        "and so has one that begins with a pre-training, with fewer trials and as many epochs in all",
    )
    space: Space = Field(
        SHARED,
        validate_default=True,
        description="Setting -> list of choices, or range with the keys `low`, `high` and `log` (whether it is drawn on a "
        "logarithmic scale). A setting that is given here replaces or joins those of the default. A model tries the "
        "settings and choices that it has, and those that its file declares. Text networks that are trained alone "
        "take what the space says of the text_ settings",
    )

    @field_validator("space", mode="before")
    @classmethod
    def joins_the_shared_space(cls, space):
        return SHARED | space if isinstance(space, dict) else space


class StudyConfig(BaseModel):
    """A study, as written in workflow/config/*.yaml."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the study. Results go to `results/<name>/`"
    )
    datasets: list[str] = Field(
        min_length=1, description="Datasets that the study uses: names of `dataset_definitions`"
    )
    models: list[str] = Field(
        min_length=1,
        description="Models that the study trains: files of baselines/ and names of `model_definitions`",
    )
    seeds: list[NonNegativeInt] = Field(
        min_length=1, description="Seeds of training. A deterministic model runs with the first one only"
    )
    encoder: str = Field(
        "all_minilm_l6_v2",
        description="Text encoder: a file of alterrec/encoders/ or a name of `encoder_definitions`. A definition of a "
        "dataset or a model may name another one",
    )
    mirror: str | None = Field(
        None,
        description="Folder or address from which every file is read instead of its public address, such as "
        "`<mirror>/movielens/ml-1m.zip`. The model of a text encoder is read from `<mirror>/models/<name>/` if the mirror is "
        "a folder that has it, and from its public address otherwise. Results do not depend on it",
    )
    baselines: list[str] = Field(
        default_factory=list, description="Further folders that hold one file per model, as baselines/ does"
    )
    tuned: str | None = Field(
        None,
        description="YAML file of settings that `snakemake tune` chose: dataset, then model, then its settings",
    )
    threads: int = Field(
        1, ge=1, description="Number of torch threads of a training run. Results may depend on it"
    )
    portable: bool = Field(
        False,
        description="Whether text vectors, training and ranking on a CPU give the same bits on every x86-64 processor with "
        "AVX2, whoever made it. It has no effect on a GPU",
    )
    deterministic: bool = Field(
        False,
        description="Whether a GPU must give the same bits in every run, at a cost in time. A CPU always does",
    )
    gpu_share: int | None = Field(
        None,
        ge=1,
        description="Number of jobs with a network that share one GPU of this machine; further ones wait. null gives every "
        "job all GPUs at once. Results do not depend on it",
    )
    memory_budget: float | None = Field(
        None,
        gt=0,
        description="Largest memory in GiB for the scores that are computed at once. null takes a quarter of the free "
        "memory. Where it makes the blocks of scores smaller, the last bits of sums differ, and so do the hard negatives "
        "that are drawn",
    )
    defaults: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings of every model that has the key. `tuned` and a model's definition come after them",
    )
    dataset_definitions: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Name of a dataset, then `source` and its settings, or `base` (another dataset) and what differs. "
        "Further keys: `label` (its name in tables), `models` and `seeds` (the only ones of the study that run on it), "
        "`encoder`",
    )
    model_definitions: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Name of a model, then its settings; for a variant, `base` (another model) and what differs. "
        "Further keys: `label` (its name in tables), `seeds` (the only ones of the study that it runs with), `encoder`",
    )
    encoder_definitions: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Name of an encoder, then `base` (a file of alterrec/encoders/) and its settings",
    )
    tuning: TuningConfig = Field(default_factory=TuningConfig, description="The search of `snakemake tune`")


class DefinitionKeys(BaseModel):
    """The keys of a definition that are no settings, with their types. Its `seeds` are checked with the study's."""

    model_config = ConfigDict(extra="allow")

    base: str | None = None
    source: str | None = None
    label: str | None = None
    models: list[str] | None = None
    encoder: str | None = None


def find_file(path: str) -> Path:
    """`path` from the current folder or, if no file is there, from the repository."""
    in_repository = registry.PACKAGE.parent / path
    return in_repository if not Path(path).is_file() and in_repository.is_file() else Path(path)


def read_yaml(path: Path) -> dict:
    """The content of a YAML file of keys and values. UserError if there is no such file or if it is anything else."""
    try:
        if not path.is_file():
            raise UserError(f"there is no file {path}")
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except PermissionError as error:
        raise UserError(f"{error.filename} may not be read: permit reading it (chmod)") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML: {error}") from None
    if not isinstance(content, dict):
        raise UserError(
            f"{path}: expected keys and values, such as `name: mine`, not a {type(content).__name__}"
        )
    return content
