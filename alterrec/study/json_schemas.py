"""JSON schemas of everything a config file may hold, generated from the pydantic classes that check it."""

import json
from pathlib import Path

from alterrec import registry
from alterrec.files import write_text
from alterrec.study.config_file import StudyConfig


def schemas() -> dict[str, str]:
    """File name -> schema, one for studies and one for each registered model and source."""
    classes = {"study": StudyConfig}
    for name, model in registry.models().items():
        if not model.external:
            classes[f"model.{name}"] = model.module.Config
    for name in registry.sources():
        classes[f"source.{name}"] = registry.source(name).Config
    return {
        f"{name}.schema.json": json.dumps(cls.model_json_schema(), indent=2) + "\n"
        for name, cls in classes.items()
    }


def write_schemas(folder: Path) -> None:
    for name, text in schemas().items():
        write_text(folder / name, text)
