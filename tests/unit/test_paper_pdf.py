"""The paper of all tables and figures: LaTeX compiles it to equal bytes, and a failure says what to do."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.drawings import FIGURES, ROOT, SCRIPTS, TABLES


def compiled(folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, SCRIPTS / "paper_pdf.py", folder, folder, folder / "paper.pdf"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)


@pytest.mark.skipif(
    not shutil.which("pdflatex"), reason="pdflatex is missing: apt-get install texlive-latex-extra"
)
def test_latex_compiles_every_table_and_figure_to_equal_bytes(full_summary, draw, tmp_path):
    for script in TABLES + FIGURES:
        shutil.copy(draw(script, full_summary)["tex" if script in TABLES else "pdf"], tmp_path)
    done = compiled(tmp_path)
    assert done.returncode == 0, done.stderr
    messages = done.stdout.replace("\n", "")  # LaTeX breaks its lines after 79 characters
    assert all(f"(./{table}.tex" in messages for table in TABLES)
    assert all(f"./{figure}.pdf" in messages for figure in FIGURES)
    assert not re.findall(r"Overfull.{60}|Float too large.{60}", messages)
    assert int(re.search(r"\((\d+) pages,", messages)[1]) >= len(TABLES + FIGURES)
    first = (tmp_path / "paper.pdf").read_bytes()
    compiled(tmp_path)
    assert (tmp_path / "paper.pdf").read_bytes() == first


@pytest.mark.skipif(
    not shutil.which("pdflatex"), reason="pdflatex is missing: apt-get install texlive-latex-extra"
)
def test_a_table_that_latex_refuses_is_an_error_and_writes_no_pdf(tmp_path):
    (tmp_path / "table_wrong.tex").write_text(r"\undefined")
    done = compiled(tmp_path)
    assert done.returncode == 1 and "error: pdflatex: ! Undefined control sequence." in done.stderr
    assert not (tmp_path / "paper.pdf").exists()


def test_a_paper_needs_tables_or_figures(tmp_path):
    done = compiled(tmp_path)
    assert done.returncode == 1 and "neither a table_*.tex nor a figure_*.pdf" in done.stderr


def test_a_machine_without_latex_is_told_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "table_any.tex").write_text("any")
    monkeypatch.setenv("PATH", str(tmp_path))
    done = compiled(tmp_path)
    assert done.returncode == 1 and "install a TeX distribution" in done.stderr
