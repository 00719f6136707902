"""`pip install .` gives a command that works in any folder: the package holds the baselines and the figure scripts."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from alterrec import registry

CONFIG = """
name: elsewhere
datasets: [produce]
models: [id_only]
seeds: [1]
dataset_definitions:
  produce: {source: complete_journey, department: PRODUCE}
"""
WHEEL = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]


@pytest.fixture(scope="module")
def site(request, tmp_path_factory) -> Path:
    """A folder with the content of the wheel, as `pip install .` puts it into site-packages."""
    folder, root = tmp_path_factory.mktemp("wheel"), request.config.rootpath
    for name in ("alterrec", "baselines", "paper_figures"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / name, folder / "source" / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, folder / "source")
    run_python(folder, *WHEEL, "--wheel-dir", str(folder), str(folder / "source"))
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run_python(folder: Path, *arguments: str, packages: Path | None = None) -> str:
    """The output of Python in `folder`; modules come from `packages` first, never from `folder`."""
    environment = os.environ | ({"PYTHONPATH": str(packages)} if packages else {})
    command = [sys.executable, "-P", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_installed_command_finds_the_baselines(site, tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    cell = ["--dataset", "produce", "--model", "id_only", "--seed", "1"]
    arguments = ["-m", "alterrec", "spec", "--config", "config.yaml", *cell]
    spec = json.loads(run_python(tmp_path, *arguments, packages=site))
    assert (spec["base"], spec["dataset"], spec["seed"]) == ("id_only", "produce", 1)
    where = "from alterrec import registry; print(registry.models()['id_only'].path)"
    path = Path(run_python(tmp_path, "-c", where, packages=site).strip())
    assert path == site / "alterrec" / "baselines" / "id_only.py"


@pytest.mark.parametrize("name", ["alterrec", "baselines", "paper_figures"])
def test_the_package_holds_every_file_of(name, site, request):
    sources = request.config.rootpath / name
    installed = site / "alterrec" if name == "alterrec" else site / "alterrec" / name
    for path in sources.rglob("*.py"):
        assert (installed / path.relative_to(sources)).is_file(), f"{path}: pyproject.toml lacks its package"


def test_an_installed_model_has_the_same_code_hash(site, tmp_path):
    model = "registry.model_code_hash(registry.model('id_only'))"
    code = f"from alterrec import registry; print({model})"
    installed = run_python(tmp_path, "-c", code, packages=site).strip()
    assert installed == registry.model_code_hash(registry.model("id_only"))


def test_a_checkout_uses_its_own_baselines(request):
    root = request.config.rootpath
    assert {model.path for model in registry.models().values()} == {
        path
        for path in (root / "baselines").iterdir()
        if path.suffix in (".py", ".smk") and path.stem[0] != "_"
    }
