"""The source homedepot: its error shows a dataset definition that works."""

import pandas as pd
import pytest
import yaml

from alterrec import registry
from alterrec.data.prepare import prepare
from alterrec.errors import UserError

HOMEDEPOT = registry.source("homedepot")
TABLE = registry.source("table")


def test_the_error_shows_a_definition_that_prepares_the_data(tmp_path, monkeypatch):
    with pytest.raises(UserError) as error:
        HOMEDEPOT.load(HOMEDEPOT.Config(source="homedepot"))
    why, definition = str(error.value).split("\n\n")
    assert "private" in why
    settings = yaml.safe_load(definition)["dataset_definitions"]["homedepot"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "homedepot").mkdir()
    sessions = {"session_id": ["1", "2", "3"], "items": [["a", "b"]] * 3}
    pd.DataFrame(sessions).to_parquet(settings["sessions"])
    pd.DataFrame({"item_id": ["a", "b"], "title": ["Hammer", "Nail"]}).to_parquet(settings["items"])
    config = TABLE.Config(**settings)
    data = prepare(TABLE.load(config), config, "out")
    assert list(data.text) == ["Hammer", "Nail"]
    assert data.card["licence"] == "private"
