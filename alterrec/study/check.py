"""Settings checked against their class, with errors that name the place, the key and the nearest valid name."""

from collections.abc import Mapping

from pydantic import BaseModel, ValidationError

from alterrec.errors import UserError, nearest


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
