"""Whatever stands in a config, it is either a study or an error with a sentence; names are safe in paths and in shells."""

import copy
import re
import shlex

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from alterrec.errors import UserError
from alterrec.study.load import load_study
from tests.unit.test_study import GOOD

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 40) | st.floats(width=16) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
CONFIG = GOOD | {
    "tuning": {"models": ["id_only"], "space": {"dropout": {"low": 0.0, "high": 0.5}, "schedule": ["step"]}},
    "encoder_definitions": {"mine": {"base": "random_projection", "dimension": 8}},
}


def places(value, path: tuple = ()) -> list[tuple]:
    """The path of every value in nested lists and dictionaries."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path] + [place for key, inner in entries for place in places(inner, (*path, key))]


def changed_at(path: tuple, value) -> dict:
    """CONFIG with another value at a path."""
    config = copy.deepcopy(CONFIG)
    *parents, last = path
    place = config
    for key in parents:
        place = place[key]
    place[last] = value
    return config


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(places(CONFIG)[1:]), VALUES)
def test_any_value_at_any_place_makes_a_study_or_an_error_with_a_sentence(path, value):
    try:
        study = load_study(changed_at(path, value))
    except UserError as error:
        assert str(error).strip()
    else:
        assert list(study.cells())


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["dataset_definitions", "model_definitions", "encoder_definitions"]), st.text(max_size=8)
)
def test_every_accepted_name_is_one_plain_word_of_a_shell_and_one_part_of_a_path(section, name):
    definition = dict(next(iter(CONFIG[section].values())))
    try:
        load_study(changed_at((section, name), definition))
    except UserError as error:
        assert repr(name) in str(error) or name in CONFIG[section]
    else:
        assert shlex.quote(name) == name and not re.match(r"[-.]", name) and "/" not in name


@pytest.mark.parametrize(
    "name", ["my data", "it's", 'a"b', "a;b", "größe", "-x", "..", "a/b", "", "a\nb", "$HOME", "a\n"]
)
def test_a_name_that_a_shell_or_a_path_could_take_for_something_else_is_refused(name):
    for section in ("dataset_definitions", "model_definitions", "encoder_definitions"):
        with pytest.raises(UserError, match=f"{section}: .* cannot be a name: use letters"):
            load_study(changed_at((section, name), {}))


def test_a_file_of_a_baseline_needs_such_a_name_too(tmp_path):
    (tmp_path / "my model.py").write_text("version, Config, fit = 1, None, None\n")
    with pytest.raises(UserError, match="baselines: 'my model' cannot be a name"):
        load_study(CONFIG | {"baselines": [str(tmp_path)]})


def test_labels_and_paths_may_have_any_character(tmp_path):
    label, source = "a|b; \"c\" 'd' $e & größe -f", {"source": "table", "sessions": "-x 'y' \"z\"; ü.csv"}
    source |= {"items": "items.csv", "description": label, "licence": label, "label": label}
    study = load_study(yaml.safe_load(yaml.safe_dump(changed_at(("dataset_definitions", "drug"), source))))
    assert study.dataset_label("drug") == label and study.dataset("drug")["sessions"] == source["sessions"]
