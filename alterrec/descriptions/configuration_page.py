"""docs/configuration.md: a table of every key of a config, made from the pydantic classes that check it.

`python -m alterrec schema --out workflow/schemas --docs docs/configuration.md` writes the page.
"""

import json
from types import ModuleType

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from alterrec import registry
from alterrec.study.config_file import StudyConfig, TuningConfig
from alterrec.study.settings import (
    AlterRecConfig,
    BlendConfig,
    FusionConfig,
    ModelConfig,
    NaiveFusionConfig,
    NegativesConfig,
    NeuralConfig,
    SequenceConfig,
    TextConfig,
)

GROUPS = (
    *(ModelConfig, NeuralConfig, TextConfig, SequenceConfig, FusionConfig, NaiveFusionConfig),
    *(BlendConfig, NegativesConfig, AlterRecConfig),
)
"""The classes that models share. A model has the keys of its class and of that class's bases."""

PAGE = """\
# Configuration

<!-- Edit the pydantic classes, not this page. This command writes it:
python -m alterrec schema --out workflow/schemas --docs docs/configuration.md -->

A study is one YAML file. [workflow/config](../workflow/config/README.md) lists the studies with their commands.
An unknown key or a wrong value is an error before any job starts. [workflow/schemas](../workflow/schemas) has the same
keys as JSON schemas, for editors.

A model's settings come from four layers, of which a later one replaces an earlier one: the defaults below, `defaults`,
`tuned`, and the model's definition. What `tuned` does not name takes the settings of something that it names: a
variant those of its base, a dataset those of its base, an ensemble those of the model whose run it reads, and a model whose
file names a model that it changes (`variant_of`) those of that model. A model of two networks (AlterRec, score fusion)
takes those of `id_only`, and those of `text_only` with the prefix `text_`.
`id_only_sampled` takes those of `id_only`, `text_only_sampled` those of `text_only`.

"Authors'" is the value in the released program of the paper's authors.

## Keys of a study

{study}

## Keys of `tuning`

{tuning}

## Settings of models

Use them in `defaults` or in a definition of `model_definitions`. A model has the keys of the groups in this table.

{who}

{groups}

### Keys that one model sets itself

{single}

## Settings of data sources

Use them in a definition of `dataset_definitions`. Every source has these keys:

{every_source}

{sources}

## Settings of text encoders

Use them in a definition of `encoder_definitions`. Every encoder has this key:

{every_encoder}

{encoders}
"""


def configuration_page() -> str:
    """The page as Markdown."""
    models = {name: model for name, model in registry.models().items() if not model.external}
    sources = {name: registry.source(name) for name in registry.sources()}
    encoders = {name: registry.encoder(name) for name in registry.encoders()}
    return PAGE.format(
        study=key_table(StudyConfig, StudyConfig.model_fields),
        tuning=key_table(TuningConfig, TuningConfig.model_fields),
        who=table(("Model", "Groups of settings"), [(f"`{n}`", groups_of(m)) for n, m in models.items()]),
        groups="\n\n".join(group_section(group) for group in GROUPS),
        single=single_model_table(models),
        every_source=key_table(shared_class(sources), shared_class(sources).model_fields),
        sources=plugin_sections(sources),
        every_encoder=key_table(shared_class(encoders), shared_class(encoders).model_fields),
        encoders=plugin_sections(encoders),
    )


def groups_of(model: registry.Model) -> str:
    """The shared classes that a model's settings come from, with links to their sections."""
    names = [group.__name__ for group in GROUPS if issubclass(model.module.Config, group)]
    return ", ".join(f"[{name}](#{name.lower()})" for name in names)


def group_section(group: type[BaseModel]) -> str:
    """A heading, what the class is, and the keys that it adds to those of its bases."""
    return f"### {group.__name__}\n\n{first_paragraph(group)}\n\n{key_table(group, own_keys(group))}"


def single_model_table(models: dict[str, registry.Model]) -> str:
    """The keys that models declare in their own files: a new key, or another default or type of a shared one."""
    rows = []
    for name, model in models.items():
        config = model.module.Config
        if config not in GROUPS:
            rows += [(f"`{name}`", *row) for row in key_rows(config, own_keys(config))]
    return table(("Model", "Key", "Type", "Default", "Meaning"), rows)


def shared_class(plugins: dict[str, ModuleType]) -> type[BaseModel]:
    """The class that the settings of all `plugins` derive from."""
    lineage = next(iter(plugins.values())).Config.__mro__
    return next(cls for cls in reversed(lineage) if issubclass(cls, BaseModel) and cls is not BaseModel)


def plugin_sections(plugins: dict[str, ModuleType]) -> str:
    """For each source or encoder what it is, and a table of the keys that it adds to the shared ones."""
    shared = shared_class(plugins)
    sections = []
    for name, module in plugins.items():
        lineage = module.Config.__mro__[: module.Config.__mro__.index(shared)]
        declared = {key for cls in lineage for key in own_keys(cls)}
        keys = [key for key in module.Config.model_fields if key in declared]
        content = key_table(module.Config, keys) if keys else "No further keys."
        sections.append(f"### `{name}`\n\n{first_paragraph(module)}\n\n{content}")
    return "\n\n".join(sections)


def own_keys(config: type[BaseModel]) -> list[str]:
    """The keys that a class declares itself, in the order of the file."""
    return [key for key in config.__annotations__ if key in config.model_fields]


def first_paragraph(documented) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(documented.__doc__.split("\n\n")[0].split())


def key_table(config: type[BaseModel], keys) -> str:
    return table(("Key", "Type", "Default", "Meaning"), key_rows(config, keys))


def key_rows(config: type[BaseModel], keys) -> list[tuple[str, ...]]:
    """One row per key: its name, type, default and description."""
    types = config.model_json_schema()["properties"]
    fields = config.model_fields
    return [
        (f"`{key}`", type_text(types[key]), default_text(fields[key]), description(config, key))
        for key in keys
    ]


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table as GitHub renders it."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in lines)


def type_text(schema: dict) -> str:
    """A JSON schema's type in words, with its bounds."""
    if "anyOf" in schema:
        return " or ".join(type_text(option) for option in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "$ref" in schema:
        return "mapping"
    if schema["type"] == "array":
        return f"list of {type_text(schema['items'])}"
    names = {"string": "text", "boolean": "`true`, `false`", "object": "mapping", "null": "`null`"}
    bounds = [
        f"{sign} {schema[name]:g}"
        for name, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if name in schema
    ]
    return " ".join([names.get(schema["type"], schema["type"]), ", ".join(bounds)]).strip()


def default_text(field: FieldInfo) -> str:
    """A key's default as it would stand in a config."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    return "see below" if isinstance(value, BaseModel) else f"`{json.dumps(value)}`"


def description(config: type[BaseModel], key: str) -> str:
    """A key's description, or that of the base class if the class only changes its default."""
    lineage = [cls for cls in config.__mro__ if issubclass(cls, BaseModel) and key in cls.model_fields]
    return next((text for cls in lineage if (text := cls.model_fields[key].description)), "")
