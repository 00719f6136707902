"""Read a study's config and check all of it, so that a mistake is reported before the first job starts."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from alterrec.errors import UserError, nearest
from alterrec.study.check import checked
from alterrec.study.config_file import DefinitionKeys, StudyConfig, find_file, read_yaml
from alterrec.study.resolve import Study
from alterrec.study.search_space import accepts
from alterrec.study.tuning import is_tuned, search_space, tuned_cells

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""Names of datasets, models and encoders: they are parts of paths and of commands. The rules' wildcards are the same."""


def load_study(config: Mapping | str | Path) -> Study:
    """The checked study of a mapping or of a YAML file. UserError if anything in it is wrong."""
    where = "config"
    if not isinstance(config, Mapping):
        where = str(config)
        config = read_yaml(Path(config))
    settings = checked(StudyConfig, config, where)
    tuned = read_yaml(find_file(settings.tuned)) if settings.tuned else {}
    study = Study(settings, tuned)
    _check_lists(settings)
    _check_definitions(study)
    _check_defaults(study)
    _check_tuned(study)
    _check_cells(study)
    _check_tuning(study)
    return study


def _check_lists(config: StudyConfig) -> None:
    if config.name == "reference":
        raise UserError("name: 'reference' is reserved for the committed results: choose another name")
    for key in ("datasets", "models", "seeds"):
        values = getattr(config, key)
        repeated = sorted({value for value in values if values.count(value) > 1}, key=str)
        if repeated:
            raise UserError(f"{key}: {', '.join(map(str, repeated))} is listed more than once")


def _check_names(where: str, names: Iterable) -> None:
    for name in names:
        if not NAME.fullmatch(str(name)):
            raise UserError(
                f"{where}: {name!r} cannot be a name: use letters, digits, _, . and -, and begin with a letter or digit"
            )


def _check_definitions(study: Study) -> None:
    """Check every definition, also of datasets, models and encoders that the study does not use."""
    for section in ("dataset_definitions", "model_definitions", "encoder_definitions"):
        _check_names(section, getattr(study.config, section))
        for name, definition in getattr(study.config, section).items():
            checked(DefinitionKeys, definition, f"{section}.{name}")
    _check_names("baselines", study.registered)
    for name in study.config.dataset_definitions:
        study.dataset(name)
        for model in study.dataset_definition(name).get("models") or []:
            study.model(model)
    for name in study.config.model_definitions:
        study.model(name)
    for name in (study.config.encoder, *study.config.encoder_definitions):
        study.encoder_spec(name)
    for section in ("dataset_definitions", "model_definitions"):
        for name, definition in getattr(study.config, section).items():
            _check_seeds(f"{section}.{name}.seeds", definition.get("seeds", study.config.seeds), study)


def _check_seeds(where: str, own: object, study: Study) -> None:
    if not isinstance(own, list) or not any(seed in study.config.seeds for seed in own):
        raise UserError(f"{where}: list at least one of the study's seeds {study.config.seeds}, not {own!r}")


def _check_defaults(study: Study) -> None:
    """Every key of `defaults` and of `tuning.space` must be a setting of some registered model."""
    known = {
        key
        for model in study.registered.values()
        if not model.external
        for key in model.module.Config.model_fields
    }
    for place, keys in (("defaults", study.config.defaults), ("tuning.space", study.config.tuning.space)):
        for key in keys:
            if key not in known:
                raise UserError(f"{place}: no model has the key {key!r}{nearest(key, known)}")


def _check_tuned(study: Study) -> None:
    """The file `tuned` must have models under each dataset and, under each model, settings that it has.

    Its datasets may be those of another study.
    """
    known = [*study.registered, *study.config.model_definitions]
    for dataset, models in study.tuned.items():
        where = f"{study.config.tuned}: {dataset}"
        for name, settings in _mapping(where, models).items():
            if name not in known:
                raise UserError(f"{where}: unknown model {name!r}{nearest(name, known)}")
            module = study.model(name).module
            fields = module.Config.model_fields if module else {}
            for key in _mapping(f"{where}.{name}", settings):
                if key not in fields:
                    raise UserError(f"{where}.{name}: the model has no setting {key!r}{nearest(key, fields)}")


def _mapping(where: str, value: object) -> dict:
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected keys and values, not {value!r}")
    return value


def _check_cells(study: Study) -> None:
    """Check the settings of every model on every dataset; a dataset must have a model, and a cell the runs it needs.

    Every job of the workflow does this at its start, so the settings, which all seeds share, are checked once.
    """
    cells = set(study.cells())
    for dataset in study.config.datasets:
        if not study.models_of(dataset):
            raise UserError(
                f"dataset_definitions.{dataset}.models names none of the study's models: add one of them, or leave "
                f"{dataset} out of `datasets`"
            )
        for model in study.models_of(dataset):
            if encoder := study.encoder(dataset, model):
                study.encoder_spec(encoder)
            study.model_config(dataset, model)
            for seed in study.seeds(dataset, model):
                _check_required_runs(study, cells, dataset, model, seed)


def _check_required_runs(study: Study, cells: set, dataset: str, model: str, seed: int) -> None:
    missing = [name for name in study.model(model).requires if (dataset, name, seed) not in cells]
    if missing:
        raise UserError(
            f"models: {model} on {dataset} with seed {seed} needs the runs of {', '.join(missing)}: list it as well"
        )


def _check_tuning(study: Study) -> None:
    """The models named for tuning can be tuned. Make the space of every tuned model once; some registered model must
    accept each choice of the shared space.
    """
    tunable = [name for name in study.registered if is_tuned(study, name)]
    for name in study.config.tuning.models:
        if name not in tunable:
            raise UserError(
                f"tuning.models: {name!r} cannot be tuned{nearest(name, tunable)}; known: {', '.join(tunable)}"
            )
    for _, model in tuned_cells(study):
        search_space(study, model)
    models = [model for model in study.registered.values() if not model.external]
    for key, options in study.config.tuning.space.items():
        having = [model for model in models if key in model.module.Config.model_fields]
        for value in options if isinstance(options, list) else ():
            if not any(accepts(model, key, value) for model in having):
                raise UserError(f"tuning.space.{key}: no model accepts {value!r}")
