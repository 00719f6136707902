"""The lock file, the conda environment and pyproject.toml agree on the versions of all packages."""

import tomllib
from importlib.metadata import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name


@pytest.fixture
def locked(request) -> dict[str, str]:
    lines = (request.config.rootpath / "envs/requirements.lock").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_the_conda_environment_has_the_locked_versions(request, locked):
    environment = yaml.safe_load((request.config.rootpath / "envs/alterrec.yaml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert {canonicalize_name(n): v for n, v in (line.split("==") for line in pip)} == locked


def test_the_lock_file_has_every_package_of_pyproject_in_a_version_that_it_allows(request, locked):
    project = tomllib.loads((request.config.rootpath / "pyproject.toml").read_text())["project"]
    for text in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        requirement = Requirement(text)
        assert locked[canonicalize_name(requirement.name)] in requirement.specifier, text


def test_every_locked_package_runs_on_the_oldest_python_that_pyproject_allows(request, locked):
    project = tomllib.loads((request.config.rootpath / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=")
    for name in locked:
        required = metadata(name)["Requires-Python"] or ""
        assert oldest in SpecifierSet(required), f"{name} needs Python {required}"


def test_torch_is_locked_without_a_local_version_suffix(locked):
    assert locked["torch"] == "2.13.0"
