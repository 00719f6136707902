"""What is registered, for the command line: all models, data sources or text encoders, or one of them with its settings."""

import inspect

from alterrec import registry
from alterrec.descriptions.configuration_page import first_paragraph, key_table
from alterrec.errors import UserError


def listing(kind: str, name: str | None = None) -> str:
    """Every name of a kind with its first sentence; with `name`, what that one is and all of its settings.

    `kind` is one of registry.KINDS. UserError with the nearest known name if there is no such name.
    """
    if name is not None:
        return details(kind, name)
    sentences = {known: summary(kind, known) for known in registry.KINDS[kind]()}
    width = max(map(len, sentences))
    return "\n".join(f"{known:{width}}  {sentence}" for known, sentence in sentences.items())


def registered(kind: str, name: str):
    """The module of a name. UserError if there is none or if another program trains the model."""
    if kind == "models":
        model = registry.model(name)
        if model.external:
            raise UserError(f"{name} is trained by another program: read {model.path}")
        return model.module
    return {"sources": registry.source, "encoders": registry.encoder}[kind](name)


def summary(kind: str, name: str) -> str:
    """The first line of a docstring; of a model that another program trains, which has none, the file of its rules."""
    if kind == "models" and (model := registry.model(name)).external:
        return f"Trained by another program: read {model.path}"
    return inspect.getdoc(registered(kind, name)).splitlines()[0]


def details(kind: str, name: str) -> str:
    """What one is, what a model needs, and a Markdown table of its settings."""
    plugin = registered(kind, name)
    facts = model_facts(registry.model(name)) if kind == "models" else []
    table = key_table(plugin.Config, plugin.Config.model_fields)
    return "\n\n".join([first_paragraph(plugin), *facts, table])


def model_facts(model: registry.Model) -> list[str]:
    """A line with a model's group in the tables and what it reads."""
    reads = [
        *(["text vectors"] if model.uses_text else []),
        *(f"the run of {name}" for name in model.requires),
    ]
    return [f"Group: {model.family}. Reads: {', '.join(['sessions', *reads])}."]
