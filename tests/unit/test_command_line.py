"""What the command line refuses before it imports anything that works."""

import pytest

from alterrec.__main__ import parser


def refusal(arguments: list[str], capsys) -> str:
    with pytest.raises(SystemExit):
        parser().parse_args(arguments)
    return capsys.readouterr().err


@pytest.mark.parametrize("processes", ["0", "-1", "two"])
def test_a_number_of_processes_below_one(processes, capsys):
    found = refusal(["cells", "--config", "config.yaml", "--processes", processes], capsys)
    assert f"{processes!r} is not a number from 1 on" in found


@pytest.mark.parametrize("verb", ["prepare", "train", "tune"])
def test_a_spec_that_is_no_json(verb, capsys):
    found = refusal([verb, "--spec", "{'model': 1}", "--out", "folder"], capsys)
    assert "--spec: \"{'model': 1}\" is not JSON: Expecting property name" in found


def test_a_spec_that_is_another_json_value(capsys):
    assert "'[1]' is no JSON object" in refusal(["prepare", "--spec", "[1]", "--out", "folder"], capsys)


def test_a_config_is_json_only_if_it_begins_like_an_object(capsys):
    arguments = ["verify", "--results", "results", "--config"]
    assert parser().parse_args([*arguments, "a.yaml"]).config == "a.yaml"
    assert parser().parse_args([*arguments, '{"name": "small"}']).config == {"name": "small"}
    assert "--config: '{\"name\"' is not JSON" in refusal([*arguments, '{"name"'], capsys)
