"""The settings that `snakemake tune` varies, and the points that it tries.

A space maps each setting to a list of choices or to a range. Every model has the shared settings that its Config knows; a
model's file may declare a `space` of settings of its own.
"""

import math
import warnings
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from alterrec.errors import UserError, nearest
from alterrec.registry import Model
from alterrec.study.settings import Schedule, SequenceInitialisation, TextConfig, TextInitialisation

EDGE = 0.05
"""The share of a range at each of its ends that counts as its edge."""


class Range(BaseModel):
    """The numbers from `low` to `high`, on a logarithmic scale if `log`. Two integers make a range of integers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def is_ordered(self):
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError("low must be less than high and, with log, greater than 0")
        return self

    def at_edge(self, value: float) -> bool:
        """Whether `value` lies within 5 % of the range from one of its ends."""
        low, high, at = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        return min(at - low, high - at) < EDGE * (high - low)


Space = dict[str, Range | list[Any]]

_RATE = {"low": 1e-4, "high": 3e-3, "log": True}
_DROPOUT = {"low": 0.0, "high": 0.8}
SHARED = {
    "learning_rate": _RATE,
    "dropout": _DROPOUT,
    "initialisation": [*get_args(SequenceInitialisation)],
    "schedule": [*get_args(Schedule)],
    "text_learning_rate": _RATE,
    "text_dropout": _DROPOUT,
    "text_initialisation": [*get_args(TextInitialisation)],
    "text_schedule": [*get_args(Schedule)],
}
"""The space that all models share, as plain JSON values. A model tries the choices that its Config accepts."""


def space_of(model: Model, shared: Space, fixed: Mapping) -> Space:
    """The space of `model`: what its Config knows of `shared`, then what its file declares; without the `fixed` keys.

    A text network that is trained alone takes the space of text branches for its settings without the prefix text_.
    UserError if the model's `space` names no setting of it, or if it knows none of a setting's choices.
    """
    config = model.module.Config
    of_text = {key: options for key, options in shared.items() if key.startswith("text_")}
    if issubclass(config, TextConfig):
        shared = shared | {key.removeprefix("text_"): options for key, options in of_text.items()}
    # Settings that models share come first; what the config says of a model's own ones replaces the declaration.
    space = shared | declared_space(model) | shared
    return {
        key: known_choices(model, key, options)
        for key, options in space.items()
        if key in config.model_fields and key not in fixed
    }


def declared_space(model: Model) -> Space:
    """The `space` of a model's file. UserError if it is no space or has a key that is no setting of the model."""
    try:
        space = TypeAdapter(Space).validate_python(model.space)
    except ValidationError as error:
        raise UserError(f"{model.path}: space: {error}") from None
    fields = model.module.Config.model_fields
    for key in space:
        if key not in fields:
            raise UserError(f"{model.path}: space: the model has no setting {key!r}{nearest(key, fields)}")
    return space


def known_choices(model: Model, key: str, options: Range | list) -> Range | list:
    """The choices that the model's Config accepts; a range as it is. UserError if it accepts none, or not both ends."""
    values = [options.low, options.high] if isinstance(options, Range) else options
    known = [value for value in values if accepts(model, key, value)]
    if isinstance(options, Range) and known == values:
        return options
    if isinstance(options, list) and known:
        return known
    raise UserError(f"tuning.space.{key}: {model.name} does not accept {', '.join(map(str, values))}")


def accepts(model: Model, key: str, value) -> bool:
    try:
        model.module.Config(**{key: value})
    except ValidationError as error:
        return all(problem["loc"][0] != key for problem in error.errors() if problem["loc"])
    return True


def points(space: Space, number: int, seed: int) -> list[dict]:
    """The first `number` points of a scrambled Halton sequence over `space`; real numbers have three digits.

    A point depends on the seed and on its number only, so trials are independent jobs that any machine repeats in any
    order. A sampler that learns from earlier trials, such as TPE, would make a trial depend on which jobs ended first.
    Settings that two spaces share and begin with have the same values in both.
    """
    import optuna  # here, because only the plan of a study needs it

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {key: distribution(options) for key, options in space.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.QMCSampler(qmc_type="halton", scramble=True, seed=seed)
    search = optuna.create_study(sampler=sampler)
    search.tell(search.ask(distributions), 0.0)  # tells the sampler the space; the sequence begins after it
    found = [search.ask(distributions).params for _ in range(number)]
    return [{key: three_digits(value) for key, value in point.items()} for point in found]


def distribution(options: Range | list):
    """The options as Optuna takes them."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(options, Range):
        return CategoricalDistribution(options)
    integers = isinstance(options.low, int) and isinstance(options.high, int)
    return (IntDistribution if integers else FloatDistribution)(options.low, options.high, log=options.log)


def three_digits(value):
    return float(f"{value:.3g}") if isinstance(value, float) else value
