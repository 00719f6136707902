"""Every script of paper_figures/ on a made-up summary: complete, reproducible, equal in every format."""

import os
import re
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from tests.unit import synthetic_summary

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "paper_figures"
TABLES = sorted(path.stem for path in SCRIPTS.glob("table_*.py"))
FIGURES = sorted(path.stem for path in SCRIPTS.glob("figure_*.py"))
FILES = {"table": ("md", "html", "csv", "tex"), "figure": ("pdf", "png")}
NEWCOMER = "newcomer_100%"
WITH_ALL_MODELS = ("table_main_comparison", "table_long_tail", "table_warm_cold", "table_coverage")
RANKED = (*WITH_ALL_MODELS, "table_preliminary_comparison", "table_ablation", "table_parameter_study")


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Path:
    return synthetic_summary.write(tmp_path_factory.mktemp("full") / "summary")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A study without AlterRec, fusions and twins' text models: two models on one dataset."""
    folder = tmp_path_factory.mktemp("small") / "summary"
    return synthetic_summary.write(folder, models=("popularity", NEWCOMER), datasets=("beauty",))


@pytest.fixture(scope="module")
def draw(tmp_path_factory):
    """Run a script in this process as its command line would, once per `out`: its files by suffix."""

    @cache
    def run(script: str, summary: Path, out: str = "first") -> dict[str, Path]:
        folder = tmp_path_factory.mktemp(out)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(SCRIPTS))
            patch.setattr(sys, "argv", [script, str(summary), str(folder)])
            runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")
        return {kind: folder / f"{script}.{kind}" for kind in FILES[script.split("_")[0]]}

    return run


@pytest.mark.parametrize("script", TABLES + FIGURES)
def test_writes_complete_files_and_the_same_again(script, full, draw):
    first, second = draw(script, full), draw(script, full, "second")
    for kind, path in first.items():
        assert path.stat().st_size > 200
        assert path.read_bytes() == second[kind].read_bytes(), f"{path.name} differs between two runs"
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(p.name for p in first.values())


@pytest.mark.parametrize("script", TABLES + FIGURES)
def test_a_study_of_two_models_has_every_file(script, small, draw):
    for path in draw(script, small).values():
        assert path.stat().st_size > 0


@pytest.mark.parametrize("script", FIGURES)
def test_fonts_are_embedded_as_truetype(script, full, draw):
    pdf = draw(script, full)["pdf"].read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Subtype /Type3" not in pdf and b"/CreationDate" not in pdf


@pytest.mark.parametrize("script", ["figure_long_tail", "table_claims"])
def test_the_command_line_gives_the_same_bytes_in_another_process(script, full, draw, tmp_path):
    here = draw(script, full)
    out = tmp_path / "elsewhere"
    command = [sys.executable, f"paper_figures/{script}.py", str(full), str(out)]
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    for path in here.values():
        assert path.read_bytes() == (out / path.name).read_bytes()


@pytest.mark.parametrize("script", TABLES)
def test_markdown_latex_and_csv_agree(script, full, draw):
    files = draw(script, full)
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
def test_a_newcomer_has_its_row_in_every_format(script, full, draw):
    files = draw(script, full)
    label = synthetic_summary.LABELS[NEWCOMER]
    assert f"| {label} |" in files["md"].read_text("utf-8")
    assert label.replace("&", r"\&").replace("_", r"\_").replace("%", r"\%") in files["tex"].read_text(
        "utf-8"
    )
    assert NEWCOMER in set(pd.read_csv(files["csv"]).model)


@pytest.mark.parametrize("script", RANKED)
def test_marks_are_in_markdown_and_latex_alike(script, full, draw):
    files = draw(script, full)
    markdown, latex = files["md"].read_text("utf-8"), files["tex"].read_text("utf-8")
    assert markdown.count("**") / 2 == latex.count(r"\textbf{") > 0
    assert markdown.count("<u>") == latex.count(r"\underline{")


def test_the_best_trained_model_is_bold_and_the_oracle_is_not(full, draw):
    files = draw("table_main_comparison", full)
    numbers = pd.read_csv(files["csv"])
    trained = numbers[~numbers.model.isin(["oracle", "random", "popularity"])]
    best = trained.loc[trained[trained.dataset == "beauty"]["Hits@20_all"].idxmax()]
    section = files["md"].read_text("utf-8").split("### beauty")[1]
    row = next(r for r in section.splitlines() if r.startswith(f"| {synthetic_summary.LABELS[best.model]} |"))
    assert f"**{100 * best['Hits@20_all']:.2f} ± " in row
    assert "**" not in next(r for r in section.splitlines() if r.startswith("| Oracle (ceiling) |"))


def test_rows_follow_the_study_between_floor_and_ceiling(full, draw):
    rows = pd.read_csv(draw("table_main_comparison", full)["csv"])
    controls = ["random", "popularity"], ["oracle"]
    compared = [model for model in synthetic_summary.QUALITY if model not in sum(controls, [])]
    assert list(rows.model[rows.dataset == "beauty"]) == [*controls[0], *compared, *controls[1]]


def test_a_missing_summary_is_told_in_one_line(draw, tmp_path):
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
    """Plain cells of all body rows: between the first and last rule, without headings."""
    bodies = re.findall(r"\\midrule\n(.*?)\\bottomrule", path.read_text("utf-8"), re.S)
    lines = [line for body in bodies for line in body.splitlines()]
    lines = [line for line in lines if line.endswith(r"\\") and not line.startswith(r"\multicolumn")]
    return [[plain(cell) for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\"))] for line in lines]


def plain(cell: str) -> str:
    """A cell without the marks of either format."""
    signs = {r"$\pm$": "±", "$-$": "−", "$<$": "<", "--": "–", r"$^{\dagger}$": "†", r"$^{\ddagger}$": "‡"}
    for sign, character in signs.items():
        cell = cell.replace(sign, character)
    cell = re.sub(r"\\(?:textbf|underline)\{([^}]*)\}", r"\1", cell.strip())
    return re.sub(r"\*\*|</?u>|\\(?=[%&_|*<#])|\{(?=\[)|(?<=\[)\}", "", cell)


def printed_numbers(cell: str) -> list[str]:
    """The decimals of a cell, p-values below the printed precision left out."""
    if cell.startswith("<") or not re.match(r"[−+\[]?\d", cell):
        return []
    return [n.replace("−", "-").replace(",", "") for n in re.findall(r"[−+]?\d[\d,]*\.?\d*", cell)]


def close(printed: str, value: float) -> bool:
    """Whether a printed number is the value, as it is or in percent, rounded (a turned sign is no match)."""
    digits = len(printed.partition(".")[2])
    half = 0.5 * 10.0**-digits + 1e-9
    return any(abs(float(printed) - scale * value) <= half for scale in (1, 100))
