"""What tests of several files use: a temporary cache, never the user's, and synthetic summaries with their drawings."""

import runpy
import sys
from functools import cache
from pathlib import Path

import pytest

from alterrec.files import CACHE
from tests.unit import synthetic_summary
from tests.unit.drawings import FILES, NEWCOMER, SCRIPTS


@pytest.fixture(scope="session", autouse=True)
def temporary_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def full_summary(tmp_path_factory) -> Path:
    return synthetic_summary.write(tmp_path_factory.mktemp("full") / "summary")


@pytest.fixture(scope="session")
def small_summary(tmp_path_factory) -> Path:
    """A study of two models on one dataset and its twin, without AlterRec and without fusions."""
    folder = tmp_path_factory.mktemp("small") / "summary"
    return synthetic_summary.write(folder, models=("popularity", NEWCOMER), datasets=("beauty",))


@pytest.fixture(scope="session")
def draw(tmp_path_factory):
    """Run a script in this process with its command line, once per `out`, and return its files by suffix."""

    @cache
    def run(script: str, summary: Path, out: str = "first") -> dict[str, Path]:
        folder = tmp_path_factory.mktemp(out)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(SCRIPTS))
            patch.setattr(sys, "argv", [script, str(summary), str(folder)])
            runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")
        return {kind: folder / f"{script}.{kind}" for kind in FILES[script.split("_")[0]]}

    return run
