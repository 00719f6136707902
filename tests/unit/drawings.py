"""The scripts of paper_figures/, and what they draw from a summary."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "paper_figures"
TABLES = sorted(path.stem for path in SCRIPTS.glob("table_*.py"))
FIGURES = sorted(path.stem for path in SCRIPTS.glob("figure_*.py"))
FILES = {"table": ("md", "html", "csv", "tex"), "figure": ("pdf", "png")}
NEWCOMER = "newcomer_100%"
WITH_ALL_MODELS = ("table_main_comparison", "table_long_tail", "table_warm_cold", "table_coverage")


def drawn(script: str, summary: Path):
    """The figure that a script draws from a summary."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        module, folder = importlib.import_module(script), importlib.import_module("_summary_folder")
        drawings = []
        patch.setattr(module.style, "save", lambda drawing, *_: drawings.append(drawing))
        module.main(folder.Study(summary), Path("unused"))
    return drawings[0]
