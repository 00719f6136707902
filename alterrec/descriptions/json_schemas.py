"""JSON schemas of a study's config and of each model's and source's settings, made from their pydantic classes.

Editors use them to complete keys and to mark mistakes.
"""

import json
from pathlib import Path

from alterrec import registry
from alterrec.files import write_text
from alterrec.study.config_file import StudyConfig


def schemas() -> dict[str, str]:
    """File name -> schema: one of the study, one of each registered model and one of each source."""
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
