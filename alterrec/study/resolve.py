"""From a study's config to its cells and their complete specs.

The config selects datasets, models and seeds by lists of names. A name is a registered one, or one that the config
defines: a variant has `base` (another name) and the settings that differ from it.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from alterrec import registry
from alterrec.errors import UserError, nearest
from alterrec.study.check import checked
from alterrec.study.config_file import StudyConfig
from alterrec.study.portability import ENVIRONMENT

ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "268435456",
}
"""glibc's allocator keeps freed memory, which halves the time of a training step on a CPU. Blocks above 32 MiB are given
back, or they would add up with a million items."""


@dataclass(frozen=True)
class Study:
    """A study: its config as written, and the settings that `snakemake tune` chose.

    `tuned` maps a dataset to models and a model to its settings.
    """

    config: StudyConfig
    tuned: Mapping[str, Mapping[str, dict]]

    def cells(self) -> Iterator[tuple[str, str, int]]:
        """Every (dataset, model, seed) of the study."""
        for dataset in self.config.datasets:
            for model in self.models_of(dataset):
                for seed in self.seeds(dataset, model):
                    yield dataset, model, seed

    def spec(self, dataset: str, model: str, seed: int, **overrides) -> dict:
        """Everything that decides a cell's result, as plain JSON values. `overrides` are settings of the model."""
        return {
            "dataset": dataset,
            "model": model,
            "base": self.model(model).name,
            "version": self.model(model).version,
            "seed": seed,
            "encoder": self.encoder(dataset, model),
            "baselines": self.config.baselines,
            "threads": self.config.threads,
            "portable": self.config.portable,
            "config": self.model_config(dataset, model, **overrides),
        }

    def models_of(self, dataset: str) -> list[str]:
        """The models that run on a dataset: all of the study, or only those in the dataset's own list `models`."""
        own = self.dataset_definition(dataset).get("models")
        return [model for model in self.config.models if own is None or model in own]

    def seeds(self, dataset: str, model: str) -> list[int]:
        """The seeds of a model on a dataset: the study's that neither leaves out. A deterministic model has one."""
        seeds = self.config.seeds
        for definition in (self.dataset_definition(dataset), self.model_definition(model)):
            seeds = [seed for seed in seeds if seed in definition.get("seeds", seeds)]
        return seeds[:1] if self.model(model).deterministic else seeds

    def environment(self) -> dict[str, str]:
        """Environment variables of the jobs. Those of `portable` follow from a spec.

        Results can also depend on `memory_budget`, and on a GPU on `deterministic`, which no spec states
        (docs/measurement.md). They depend on none of the others.
        """
        config = self.config
        variables = {name: os.environ.get(name, value) for name, value in ALLOCATOR.items()}
        variables |= {
            "ALTERREC_MIRROR": config.mirror,
            "ALTERREC_GPU_SHARE": config.gpu_share,
            "ALTERREC_MEMORY_BUDGET": config.memory_budget,
            "ALTERREC_DETERMINISTIC": "1" if config.deterministic else None,
        }
        if config.portable:
            variables |= ENVIRONMENT
        return {name: str(value) for name, value in variables.items() if value is not None}

    # Datasets

    def dataset_definition(self, name: str) -> dict:
        """A dataset's definition, merged with its base's. UserError if the dataset or a base of it is not defined."""
        definitions = self.config.dataset_definitions
        for link in base_chain(self.config, "dataset_definitions", name):
            if link not in definitions:
                raise UserError(
                    f"unknown dataset {link!r}{nearest(link, definitions)}; defined: {', '.join(definitions)}"
                )
        return merged_definition(self.config, "dataset_definitions", name)

    def dataset(self, name: str) -> dict:
        """The complete settings of a dataset's source, as plain JSON values."""
        definition = self.dataset_definition(name)
        settings = {
            key: value
            for key, value in definition.items()
            if key not in ("label", "models", "seeds", "encoder")
        }
        if "source" not in settings:
            raise UserError(f"dataset_definitions.{name}: the key 'source' is missing")
        config = registry.source(settings["source"]).Config
        return checked(config, settings, f"dataset_definitions.{name}").model_dump(mode="json")

    def dataset_label(self, name: str) -> str:
        """The name of a dataset in tables."""
        return self.dataset_definition(name).get("label", name)

    def twin_of(self, dataset: str) -> str | None:
        """The dataset of the study whose texts this one permutes; None if there is none."""
        if self.dataset(dataset).get("text_control") != "permuted":
            return None
        real_texts = self.dataset(dataset) | {"text_control": "none"}
        return next((name for name in self.config.datasets if self.dataset(name) == real_texts), None)

    # Models

    @cached_property
    def registered(self) -> dict[str, registry.Model]:
        """The models of baselines/ and of the config's own folders, by name."""
        return registry.models(self.config.baselines)

    def model_chain(self, name: str) -> list[str]:
        """A model's name, its base's name and so on. The last one is registered."""
        chain = base_chain(self.config, "model_definitions", name)
        if (last := chain[-1]) not in self.registered:
            known = [*self.registered, *self.config.model_definitions]
            raise UserError(
                f"unknown model {last!r}{nearest(last, known)}; known: {', '.join(sorted(known))}"
            )
        return chain

    def model(self, name: str) -> registry.Model:
        """The registered model of a name; for a variant, the model that it is a variant of."""
        return self.registered[self.model_chain(name)[-1]]

    def variant_of(self, name: str) -> str | None:
        """The registered model that a model changes: by settings of the config, or by one idea in its own file."""
        registered = self.model(name)
        return registered.variant_of or (registered.name if registered.name != name else None)

    def model_definition(self, name: str) -> dict:
        """A model's definition, merged with its base's; empty if the config does not define the model."""
        return merged_definition(self.config, "model_definitions", name)

    def model_label(self, name: str) -> str:
        """The name of a model in tables: its definition's label or, unless it is a variant, its file's."""
        is_variant = len(self.model_chain(name)) > 1
        default = name if is_variant else self.model(name).label
        return self.model_definition(name).get("label", default)

    def model_config(self, dataset: str, name: str, **overrides) -> dict:
        """A model's complete settings on a dataset: defaults, then tuned, then its definition, then `overrides`."""
        model, definition = self.model(name), self.model_definition(name)
        if model.external:
            return definition
        fields = model.module.Config.model_fields
        layers = self.config.defaults | self.tuned_settings(dataset, name)
        settings = {key: value for key, value in layers.items() if key in fields}
        settings |= {
            key: value for key, value in definition.items() if key not in ("label", "seeds", "encoder")
        }
        config = checked(model.module.Config, settings | overrides, f"model_definitions.{name}")
        return config.model_dump(mode="json")

    def tuned_settings(self, dataset: str, model: str) -> dict:
        """The tuned settings of a model on a dataset, or of the nearest relative that was tuned.

        A dataset that was not tuned takes its base's settings. A model that was not tuned takes its base's, or those of
        the model whose run it reads or that it is a variant of, or those of its `networks`: the first one's, and the
        second one's with text_.
        """
        base = self.config.dataset_definitions[dataset].get("base", dataset)
        for tuned_dataset in (dataset, base):
            for tuned_model in (*self.model_chain(model), *self.model(model).requires):
                if tuned_model in self.tuned.get(tuned_dataset, {}):
                    return self.tuned[tuned_dataset][tuned_model]
        if varied := self.model(model).variant_of:
            return self.tuned_settings(dataset, varied)
        networks = self.model(model).networks
        return {
            prefix + key: value
            for prefix, network in zip(("", "text_"), networks, strict=False)
            for key, value in self.tuned_settings(dataset, network).items()
        }

    # Text encoders

    def encoder(self, dataset: str, model: str) -> str | None:
        """The encoder of a model on a dataset: the model's, else the dataset's, else the study's. None without text."""
        if not self.model(model).uses_text:
            return None
        of_dataset = self.dataset_definition(dataset).get("encoder", self.config.encoder)
        return self.model_definition(model).get("encoder", of_dataset)

    def encoder_spec(self, name: str) -> dict:
        """Everything that decides the vectors of an encoder, as plain JSON values."""
        definition = dict(self.config.encoder_definitions.get(name, {}))
        base = definition.pop("base", name)
        module = registry.encoder(base, self.config.encoder_definitions if base == name else ())
        config = checked(module.Config, definition, f"encoder_definitions.{name}")
        return {
            "name": name,
            "base": base,
            "version": module.version,
            "portable": self.config.portable,
            "config": config.model_dump(mode="json"),
        }


def base_chain(config: StudyConfig, section: str, name: str) -> list[str]:
    """A name of dataset_definitions or model_definitions, its base and so on. UserError if the bases form a circle."""
    definitions = getattr(config, section)
    chain = [name]
    while (base := definitions.get(chain[-1], {}).get("base")) is not None:
        if base in chain:
            raise UserError(f"{section}.{name}: its bases form a circle: {' -> '.join([*chain, base])}")
        chain.append(base)
    return chain


def merged_definition(config: StudyConfig, section: str, name: str) -> dict:
    """A definition on top of its bases' settings, without the key `base`. A label is never taken from a base."""
    merged: dict = {}
    for link in reversed(base_chain(config, section, name)):
        own = {key: value for key, value in getattr(config, section).get(link, {}).items() if key != "base"}
        merged = {key: value for key, value in merged.items() if key != "label"} | own
    return merged
