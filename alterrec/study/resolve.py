"""A study's config -> the cells to run, each with its complete specification.

A selection (datasets, models, seeds) is a list; what is selected is a registered name or one defined in the same file
as a variant: `base:` and what differs. Nothing here imports torch.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from alterrec import registry
from alterrec.errors import UserError, nearest
from alterrec.study.check import checked
from alterrec.study.config_file import StudyConfig


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
