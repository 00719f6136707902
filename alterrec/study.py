"""A study's config file -> the cells to run, each with its complete specification. Everything is checked before any job.

A selection (datasets, models, seeds) is a list; what is selected is a registered name or one defined in the same file
as a variant: `base:` and what differs. Nothing here imports torch.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alterrec import registry
from alterrec.config import TUNED, Dropout, Rate, Schedule, TextInitialisation
from alterrec.errors import UserError, nearest


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


@dataclass(frozen=True)
class Study:
    """A checked study. `config` is as written; the methods resolve names into specifications."""

    config: StudyConfig
    tuned: Mapping[str, Mapping[str, dict]]

    @cached_property
    def registered(self) -> dict[str, registry.Model]:
        return registry.models(self.config.baselines)

    def dataset(self, name: str) -> dict:
        """The complete settings of a dataset's source, as plain JSON values."""
        definition = self._definition("dataset", name)
        settings = {
            key: value for key, value in definition.items() if key not in ("label", "models", "encoder")
        }
        if "source" not in settings:
            raise UserError(f"dataset_definitions.{name}: `source` is missing")
        config = registry.source(settings["source"]).Config
        return checked(config, settings, f"dataset_definitions.{name}").model_dump(mode="json")

    def models_of(self, dataset: str) -> list[str]:
        """The models that run on a dataset: the study's, or those of its own `models` list that the study selects."""
        own = self._definition("dataset", dataset).get("models")
        return [model for model in self.config.models if own is None or model in own]

    def twin_of(self, dataset: str) -> str | None:
        """The selected dataset whose texts this one permutes, if it is such a control."""
        if self.dataset(dataset).get("text_control") != "permuted":
            return None
        plain = self.dataset(dataset) | {"text_control": "none"}
        return next((name for name in self.config.datasets if self.dataset(name) == plain), None)

    def model(self, name: str) -> registry.Model:
        """The registered model that a name, possibly a variant's, stands for."""
        return self.registered[self._chain(name)[-1]]

    def model_config(self, dataset: str, name: str, **overrides) -> dict:
        """A model's complete settings on a dataset: defaults, then tuned, then its definition, then `overrides`."""
        model = self.model(name)
        if model.external:
            return self._definition("model", name)
        fields = model.module.Config.model_fields
        settings = {key: value for key, value in self.config.defaults.items() if key in fields}
        settings |= {key: value for key, value in self._tuned(dataset, name).items() if key in fields}
        definition = self._definition("model", name)
        settings |= {
            key: value for key, value in definition.items() if key not in ("label", "encoder")
        } | overrides
        return checked(model.module.Config, settings, f"model_definitions.{name}").model_dump(mode="json")

    def points(self, name: str) -> dict[str, dict]:
        """The points of the grid that a model can take, by name: not every initialisation is every model's."""
        field = self.model(name).module.Config.model_fields["initialisation"]
        known = get_args(field.annotation)
        points = [point for point in self.config.tuning.points() if point["initialisation"] in known]
        if not points:
            tried = ", ".join(self.config.tuning.initialisation)
            raise UserError(f"tuning: initialisation: {name} knows {', '.join(known)}, not {tried}")
        return {"-".join(map(str, point.values())): point for point in points}

    def encoder(self, dataset: str, name: str) -> str | None:
        """The text encoder of a model on a dataset: the model's own, the dataset's or the study's; None without text."""
        if not self.model(name).uses_text:
            return None
        of_dataset = self._definition("dataset", dataset).get("encoder", self.config.encoder)
        return self._definition("model", name).get("encoder", of_dataset)

    def encoder_spec(self, name: str) -> dict:
        """Everything that decides an encoder's vectors: a registered encoder, or a definition with a `base`."""
        definition = dict(self.config.encoder_definitions.get(name, {}))
        base = definition.pop("base", name)
        module = registry.encoder(base, self.config.encoder_definitions if base == name else ())
        config = checked(module.Config, definition, f"encoder_definitions.{name}")
        return {
            "name": name,
            "base": base,
            "version": module.version,
            "config": config.model_dump(mode="json"),
        }

    def environment(self) -> dict[str, str]:
        """How runs are carried out, as environment variables: no parameters of theirs, since results do not depend on it."""
        config = self.config
        stated = {
            "ALTERREC_MIRROR": config.mirror,
            "ALTERREC_MEMORY_BUDGET": config.memory_budget,
            "ALTERREC_DETERMINISTIC": "1" if config.deterministic else None,
        }
        return {name: str(value) for name, value in stated.items() if value is not None}

    def seeds(self, name: str) -> list[int]:
        return self.config.seeds[:1] if self.model(name).deterministic else self.config.seeds

    def spec(self, dataset: str, model: str, seed: int, **overrides) -> dict:
        """Everything that decides a run's result, as plain JSON values: the run's identity."""
        return {
            "dataset": dataset,
            "model": model,
            "base": self.model(model).name,
            "version": self.model(model).fact("version", 0),
            "seed": seed,
            "encoder": self.encoder(dataset, model),
            "baselines": self.config.baselines,
            "threads": self.config.threads,
            "config": self.model_config(dataset, model, **overrides),
        }

    def cells(self) -> Iterator[tuple[str, str, int]]:
        """All (dataset, model, seed) of the study."""
        for dataset in self.config.datasets:
            for model in self.models_of(dataset):
                for seed in self.seeds(model):
                    yield dataset, model, seed

    def label(self, kind: str, name: str) -> str:
        definition = self._definition(kind, name)
        fallback = self.model(name).fact("label", name) if kind == "model" else name
        return definition.get("label", fallback if kind == "dataset" or self._chain(name) == [name] else name)

    def shares(self, name: str) -> list[str]:
        """The trained networks that a model is made of, by the model that trained them."""
        model = self.model(name)
        return [*model.requires] if model.requires else [name]

    def tuning_record(self) -> str | None:
        """The record of the grid, which lies beside the settings that were chosen from it, if the study has both."""
        record = _located(self.config.tuned).with_suffix(".csv") if self.config.tuned else None
        return str(record) if record and record.is_file() else None

    def summary_input(self, results: Path) -> dict:
        """What `alterrec summarise` needs: the cells with their folders, and facts of datasets and models."""
        folder = results / self.config.name
        return {
            "tuning": self.tuning_record(),
            "name": self.config.name,
            "seeds": self.config.seeds,
            "cells": [
                {"dataset": d, "model": m, "seed": s, "path": str(folder / "runs" / d / m / f"seed-{s}")}
                for d, m, s in self.cells()
            ],
            "datasets": {
                name: {
                    "path": str(folder / "data" / name),
                    "twin_of": self.twin_of(name),
                    "label": self.label("dataset", name),
                }
                for name in self.config.datasets
            },
            "models": {
                name: {
                    "base": self.model(name).name,
                    "family": self.model(name).fact("family", "external"),
                    "shares": self.shares(name),
                    "label": self.label("model", name),
                    "deterministic": self.model(name).deterministic,
                }
                for name in self.config.models
            },
        }

    def _chain(self, name: str) -> list[str]:
        """A model's name, its base's, and so on to a registered one."""
        chain = [name]
        while "base" in (definition := self.config.model_definitions.get(chain[-1], {})):
            if definition["base"] in chain:
                raise UserError(f"model_definitions.{name}: its bases go in a circle: {' -> '.join(chain)}")
            chain.append(definition["base"])
        if chain[-1] not in self.registered:
            known = [*self.registered, *self.config.model_definitions]
            raise UserError(
                f"unknown model {chain[-1]!r}{nearest(chain[-1], known)}; known: {', '.join(sorted(known))}"
            )
        return chain

    def _definition(self, kind: str, name: str) -> dict:
        """A definition with its bases' settings beneath it, without the key `base`."""
        definitions = self.config.dataset_definitions if kind == "dataset" else self.config.model_definitions
        if kind == "dataset" and name not in definitions:
            raise UserError(
                f"unknown dataset {name!r}{nearest(name, definitions)}; defined: {', '.join(definitions)}"
            )
        own = definitions.get(name, {})
        base = own.get("base")
        beneath = {}
        if base == name:
            raise UserError(f"{kind}_definitions.{name}: a definition can't be its own base")
        if base is not None and (kind == "dataset" or base in definitions):
            beneath = {key: value for key, value in self._definition(kind, base).items() if key != "label"}
        return beneath | {key: value for key, value in own.items() if key != "base"}

    def _tuned(self, dataset: str, model: str) -> dict:
        """Chosen settings: a dataset's or its base's, a model's, its base's or those of what it is made of.

        A model of two networks that was not tuned itself takes each network's.
        """
        base = self.config.dataset_definitions[dataset].get("base", dataset)
        for name in (dataset, base):
            for link in (*self._chain(model), *self.model(model).requires):
                if link in self.tuned.get(name, {}):
                    return self.tuned[name][link]
        return self._tuned_of_networks(dataset, self.model(model).fact("networks", ()))

    def _tuned_of_networks(self, dataset: str, networks: tuple[str, ...]) -> dict:
        """What was chosen for the ID and the text network alone, the latter's under text_."""
        if not networks:
            return {}
        of_id, of_text = (self._tuned(dataset, name) for name in networks)
        return of_id | {f"text_{key}": value for key, value in of_text.items()}


def checked(config: type[BaseModel], settings: Mapping, where: str):
    """`config(**settings)`; UserError names `where`, the key and the nearest valid name."""
    try:
        return config(**settings)
    except ValidationError as error:
        lines = [explain(problem, config, where) for problem in error.errors()]
        raise UserError("\n".join(lines)) from None


def explain(problem: dict, config: type[BaseModel], where: str) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        fields = config.model_fields
        return f"{where}: unknown key {place!r}{nearest(place, fields)}; known: {', '.join(sorted(fields))}"
    if problem["type"] == "missing":
        return f"{where}: the key {place!r} is missing"
    value = problem["input"]
    shown = "" if isinstance(value, dict) else f", not {value!r}"
    return f"{where}: {place or 'settings'}: {problem['msg'].removeprefix('Value error, ')}{shown}"


def load_study(config: Mapping | str | Path) -> Study:
    """Read and check a study given as a mapping or a YAML file. Raises UserError for the first things that are wrong."""
    where = "config"
    if not isinstance(config, Mapping):
        where = str(config)
        config = read_yaml(Path(config))
    settings = checked(StudyConfig, config, where)
    study = Study(settings, _read_tuned(settings.tuned))
    _check(study)
    return study


def _read_tuned(path: str | None) -> dict:
    """The chosen settings of `snakemake tune`, if the study names a file of them."""
    return read_yaml(_located(path)) if path else {}


def _located(path: str) -> Path:
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


def _check(study: Study) -> None:
    """Resolve every cell once, so that whatever is wrong is said before the first job."""
    config = study.config
    if config.name == "reference":
        raise UserError("name: 'reference' is reserved for the committed summary: choose another")
    for key in ("datasets", "models", "seeds"):
        values = getattr(config, key)
        repeated = sorted({value for value in values if values.count(value) > 1}, key=str)
        if repeated:
            raise UserError(f"{key}: {', '.join(map(str, repeated))} is listed more than once")
    for name in config.dataset_definitions:
        study.dataset(name)
        listed = study._definition("dataset", name).get("models") or []
        for model in listed:
            study.model(model)
    for name in config.model_definitions:
        study.model(name)
    for name in (config.encoder, *config.encoder_definitions):
        study.encoder_spec(name)
    _check_defaults(study)
    for dataset, model, seed in study.cells():
        if encoder := study.encoder(dataset, model):
            study.encoder_spec(encoder)
        study.spec(dataset, model, seed)
        absent = [name for name in study.model(model).requires if name not in study.models_of(dataset)]
        if absent:
            raise UserError(f"models: {model} on {dataset} is made of {', '.join(absent)}: list it as well")
    for dataset in config.datasets:
        if not study.models_of(dataset):
            raise UserError(f"dataset_definitions.{dataset}.models selects none of the study's models")


def _check_defaults(study: Study) -> None:
    known = {
        key
        for model in study.registered.values()
        if not model.external
        for key in model.module.Config.model_fields
    }
    for key in study.config.defaults:
        if key not in known:
            raise UserError(f"defaults: no model knows the key {key!r}{nearest(key, known)}")
