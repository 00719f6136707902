"""Every script of paper_figures/ on a synthetic summary: all files, reproducible, the same numbers in every format."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.unit import synthetic_summary
from tests.unit.drawings import FIGURES, NEWCOMER, ROOT, TABLES, WITH_ALL_MODELS

RANKED = (*WITH_ALL_MODELS, "table_preliminary_comparison", "table_ablation", "table_parameter_study")


@pytest.mark.parametrize("script", TABLES + FIGURES)
def test_two_runs_write_the_same_bytes(script, full_summary, draw):
    first, second = draw(script, full_summary), draw(script, full_summary, "second")
    for kind, path in first.items():
        assert path.stat().st_size > 200
        assert path.read_bytes() == second[kind].read_bytes(), f"{path.name} differs between two runs"
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(p.name for p in first.values())


@pytest.mark.parametrize("script", TABLES + FIGURES)
def test_a_study_of_two_models_gets_every_file(script, small_summary, draw):
    for path in draw(script, small_summary).values():
        assert path.stat().st_size > 0


@pytest.mark.parametrize("script", FIGURES)
def test_fonts_are_embedded_as_truetype(script, full_summary, draw):
    pdf = draw(script, full_summary)["pdf"].read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Subtype /Type3" not in pdf and b"/CreationDate" not in pdf


@pytest.mark.parametrize("script", ["figure_long_tail", "table_claims"])
def test_another_process_writes_the_same_bytes(script, full_summary, draw, tmp_path):
    here = draw(script, full_summary)
    out = tmp_path / "elsewhere"
    command = [sys.executable, f"paper_figures/{script}.py", str(full_summary), str(out)]
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    for path in here.values():
        assert path.read_bytes() == (out / path.name).read_bytes()


@pytest.mark.parametrize("script", TABLES)
def test_markdown_latex_and_csv_have_the_same_numbers(script, full_summary, draw):
    files = draw(script, full_summary)
    in_markdown, in_latex = markdown_rows(files["md"]), latex_rows(files["tex"])
    numbers = pd.read_csv(files["csv"])
    assert in_markdown and in_markdown == in_latex
    assert len(in_markdown) == len(numbers)
    for cells, (_, row) in zip(in_markdown, numbers.iterrows(), strict=True):
        known = [value for value in row if isinstance(value, int | float)]
        numeric = [cell for cell in cells[1:] if cell not in row.to_list()]
        for number in (number for cell in numeric for number in printed_numbers(cell)):
            assert any(close(number, value) for value in known), (number, cells)


@pytest.mark.parametrize("script", WITH_ALL_MODELS)
def test_an_unknown_model_has_a_row_in_every_format(script, full_summary, draw):
    files = draw(script, full_summary)
    label = synthetic_summary.LABELS[NEWCOMER]
    assert f"| {label} |" in files["md"].read_text("utf-8")
    assert label.replace("&", r"\&").replace("_", r"\_").replace("%", r"\%") in files["tex"].read_text(
        "utf-8"
    )
    assert NEWCOMER in set(pd.read_csv(files["csv"]).model)


@pytest.mark.parametrize("script", RANKED)
def test_markdown_and_latex_have_the_same_marks(script, full_summary, draw):
    files = draw(script, full_summary)
    markdown, latex = files["md"].read_text("utf-8"), files["tex"].read_text("utf-8")
    assert markdown.count("**") / 2 == latex.count(r"\textbf{") > 0
    assert markdown.count("<u>") == latex.count(r"\underline{")


def test_a_missing_summary_is_a_one_line_error(draw, tmp_path):
    with pytest.raises(SystemExit, match=r"study\.json is missing"):
        draw("table_claims", tmp_path)


@pytest.mark.parametrize("script", TABLES + FIGURES)
def test_every_script_has_a_caption_for_the_report(script):
    assert (ROOT / "workflow" / "report" / f"{script}.rst").read_text("utf-8").startswith("**")


def markdown_rows(path: Path) -> list[list[str]]:
    """Plain cells of all body rows."""
    lines = path.read_text("utf-8").splitlines()
    heads = {number - 1 for number, line in enumerate(lines) if re.match(r"\|[:|-]+\|$", line)}
    body = [line for n, line in enumerate(lines) if line.startswith("| ") and n not in heads]
    return [[plain(cell) for cell in line[1:-1].split(" | ")] for line in body]


def latex_rows(path: Path) -> list[list[str]]:
    """Plain cells of all body rows: those between the first and the last rule, without headings."""
    bodies = re.findall(r"\\midrule\n(.*?)\\bottomrule", path.read_text("utf-8"), re.S)
    lines = [line for body in bodies for line in body.splitlines()]
    lines = [line for line in lines if line.endswith(r"\\") and not line.startswith(r"\multicolumn")]
    return [[plain(cell) for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\"))] for line in lines]


def plain(cell: str) -> str:
    """A cell without the marks and escapes of Markdown and LaTeX."""
    signs = {r"$\pm$": "±", "$-$": "−", "$<$": "<", "--": "–", r"$^{\dagger}$": "†", r"$^{\ddagger}$": "‡"}
    for sign, character in signs.items():
        cell = cell.replace(sign, character)
    cell = re.sub(r"\\(?:textbf|underline)\{([^}]*)\}", r"\1", cell.strip())
    return re.sub(r"\*\*|</?u>|\\(?=[%&_|*<#])|\{(?=\[)|(?<=\[)\}", "", cell)


def printed_numbers(cell: str) -> list[str]:
    """The decimals of a cell, without p-values below the printed precision."""
    if cell.startswith("<") or not re.match(r"[−+\[]?\d", cell):
        return []
    return [n.replace("−", "-").replace(",", "") for n in re.findall(r"[−+]?\d[\d,]*\.?\d*", cell)]


def close(printed: str, value: float) -> bool:
    """Whether a printed number is the rounded value, as a fraction or in percent, with the same sign."""
    digits = len(printed.partition(".")[2])
    half = 0.5 * 10.0**-digits + 1e-9
    return any(abs(float(printed) - scale * value) <= half for scale in (1, 100))
