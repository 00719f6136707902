"""Read a study's config file and check all of it, so that whatever is wrong is said before the first job."""

from collections.abc import Mapping
from pathlib import Path

from alterrec.errors import UserError, nearest
from alterrec.study.check import checked
from alterrec.study.config_file import StudyConfig, located, read_yaml
from alterrec.study.resolve import Study


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
    return read_yaml(located(path)) if path else {}


def _check(study: Study) -> None:
    """Resolve every cell once, so that whatever is wrong is said before the first job."""
    config = study.config
    if config.name == "reference":
        raise UserError("name: 'reference' is reserved for the committed results: choose another")
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
