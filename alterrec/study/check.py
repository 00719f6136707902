"""Check settings against their pydantic class. Errors name the place, the key and the nearest known name."""

from collections.abc import Mapping

from pydantic import BaseModel, ValidationError

from alterrec.errors import UserError, nearest


def checked(config: type[BaseModel], settings: Mapping, where: str):
    """Return `config(**settings)`. UserError with one line per problem, each starting with `where`."""
    try:
        return config(**settings)
    except ValidationError as error:
        lines = [explain(problem, config, where) for problem in error.errors()]
        raise UserError("\n".join(lines)) from None


def explain(problem: dict, config: type[BaseModel], where: str) -> str:
    """One line for one problem that pydantic found."""
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        fields = config.model_fields
        return f"{where}: unknown key {key!r}{nearest(key, fields)}; known: {', '.join(sorted(fields))}"
    if problem["type"] == "missing":
        return f"{where}: the key {key!r} is missing"
    value = problem["input"]
    shown = "" if isinstance(value, dict) else f", not {value!r}"
    return f"{where}: {key or 'settings'}: {problem['msg'].removeprefix('Value error, ')}{shown}"
