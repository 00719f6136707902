"""The pages: links resolve, pictures are those of today's code, and the tutorial's commands work."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from alterrec import registry
from tests.unit.page_commands import code_blocks, copy_checkout, planned_jobs, run_dry
from tests.unit.test_architecture import ROOMS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ARCHITECTURE = ROOT / "docs" / "architecture.md"


def links(page: Path) -> list[str]:
    """The targets of a page's links and images, without those to other sites."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_resolve(page):
    for target in links(page):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name} links to {target}, which does not exist"
        assert path.is_relative_to(ROOT), f"{page.name} links to {target}, outside the repository"
        assert not anchor or anchor in anchors(path), (
            f"{page.name} links to {target}, which has no such heading"
        )


def test_pictures_are_those_of_the_rules_and_of_the_schedule():
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "pictures.py")
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    page = ARCHITECTURE.read_text(encoding="utf-8")
    assert pictures.with_pictures(page) == page, "run: python docs/pictures.py"


def test_the_table_of_imports_is_the_one_that_is_checked():
    section = ARCHITECTURE.read_text(encoding="utf-8").split("## Packages and imports")[1]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", section, re.M)
    documented = {room: set(re.findall(r"\w+", imports)) for room, imports in rows}
    assert documented == ROOMS


def test_every_baseline_has_a_row_of_the_fidelity_table():
    text = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in row.split(" | ")] for row in re.findall(r"^\| (`.*) \|$", text, re.M)]
    assert [name.strip("`") for name, *_ in rows] == sorted(registry.models())
    for name, *cells in rows:
        assert len(cells) == 4 and all(cells), name
        tests = re.findall(r"tests/\S+\.py", cells[-1])
        assert tests and all((ROOT / path).is_file() for path in tests), f"{name}: {cells[-1]}"


def test_the_study_of_every_model_names_the_whole_registry():
    config = yaml.safe_load((ROOT / "workflow/config/full.yaml").read_text(encoding="utf-8"))
    assert config["models"] == sorted(registry.models())


@pytest.fixture
def shop(tmp_path) -> Path:
    """A copy of the checkout with the tutorial's two files and its config."""
    copy_checkout(tmp_path)
    folder = tmp_path / "data" / "shop"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    session = np.repeat(np.arange(60), 4)
    events = {"session_id": session, "item_id": random.integers(20, size=240), "timestamp": np.arange(240)}
    pd.DataFrame(events).to_csv(folder / "sessions.csv", index=False)
    items = {"item_id": np.arange(20), "title": [f"item {i}" for i in range(20)], "description": "a thing"}
    pd.DataFrame(items).to_csv(folder / "items.csv", index=False)
    (tmp_path / "mine.yaml").write_text(code_blocks("docs/tutorial.md", "yaml")[0])
    return tmp_path


def test_the_tutorials_data_are_understood(shop):
    _, check, _ = code_blocks("docs/tutorial.md", "sh")
    card = run_dry(check, shop)
    assert "| 48 | 6 | 6 |" in card, card  # sessions of training, validation and test


def test_the_tutorials_study_is_planned(shop):
    *_, plan_and_run = code_blocks("docs/tutorial.md", "sh")
    jobs = planned_jobs(run_dry(plan_and_run, shop))
    config = yaml.safe_load((shop / "mine.yaml").read_text())
    deterministic = {"popularity", "markov"}
    trained = [name for name in config["models"] if name not in deterministic]
    assert jobs["train"] == len(deterministic) + len(trained) * len(config["seeds"])
    assert jobs["prepare"] == jobs["summarise"] == 1


def test_the_tutorials_twin_is_accepted(shop):
    study, twin = (yaml.safe_load(block) for block in code_blocks("docs/tutorial.md", "yaml"))
    study["datasets"] = twin["datasets"]
    study["dataset_definitions"] |= twin["dataset_definitions"]
    (shop / "mine.yaml").write_text(yaml.safe_dump(study))
    assert "permuted" in run_dry(code_blocks("docs/tutorial.md", "sh")[1], shop)
