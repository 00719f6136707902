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


RECORD = "initialisation learning_rate schedule dropout validation_hits20"
GRID = [
    ("xavier", 0.001, "step", 0.1, 0.20),  # the best point; from here:
    ("authors", 0.001, "step", 0.1, 0.15),  # initialisation moves 0.05, the larger of two
    ("unit_gain", 0.001, "step", 0.1, 0.18),
    ("xavier", 0.003, "step", 0.1, 0.19),  # the learning rate 0.01
    ("xavier", 0.003, "constant", 0.1, 0.02),  # schedule: not tried from the best point
    ("authors", 0.003, "constant", 0.1, 0.01),
]


@pytest.fixture
def tuned(tmp_path) -> Path:
    """A study of one dataset with a record of six points of one model."""
    folder = synthetic_summary.write(tmp_path / "summary", datasets=("beauty",))
    points = pd.DataFrame(GRID, columns=RECORD.split())
    points = points.assign(dataset="beauty", model="id_only", seed=0, best_epoch=3, epochs=9, updates=90)
    points.to_parquet(folder / "tuning.parquet")
    return folder


def test_the_tuning_table_moves_one_setting_at_a_time_from_the_best_point(tuned, draw):
    files = draw("table_tuning", tuned)
    row = pd.read_csv(files["csv"]).iloc[0]
    assert [row[axis] for axis in RECORD.split()[:4]] == ["xavier", 0.001, "step", 0.1]
    assert (row.points, row.best, row.worst) == (6, 0.2, 0.01)
    assert [row.moved_initialisation, row.moved_learning_rate] == pytest.approx([0.05, 0.01])
    assert row[["moved_schedule", "moved_dropout"]].isna().all()
    scores = pd.read_parquet(tuned / "metrics.parquet").query(
        "model == 'id_only' and dataset == 'beauty' and split == 'validation' and part == 'model' and scope == 'all' "
        "and targets == 'all' and catalogue == 'full' and metric == 'Hits' and k == 20"
    )
    assert len(scores) == 3 and row.moved_seed == pytest.approx(scores.value.max() - scores.value.min())
    head = files["md"].read_text("utf-8")
    assert "Best point: schedule" in head and "Best point: dropout" not in head, "dropout was not varied"
    assert "Moved by: learning rate" in head and "Moved by: schedule" not in head


def test_the_tuning_figure_marks_every_point_and_has_a_bar_for_every_range(tuned, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        import figure_tuning
        from _summary_folder import Study

        drawings = []
        patch.setattr(figure_tuning.style, "save", lambda drawing, *_: drawings.append(drawing))
        figure_tuning.main(Study(tuned), tmp_path)
    left, right = drawings[0].axes
    marks = [100 * score for *_, score in GRID]
    shown = [line.get_xdata()[0] for line in left.lines if line.get_marker() in ("o", "s")]
    assert sorted(shown) == pytest.approx(sorted([*marks, max(marks)])), "one more for the ring"
    widths = [bar.get_width() for container in right.containers for bar in container]
    assert widths[:2] == pytest.approx([5, 1]) and len(widths) == 3, "initialisation, learning rate, seed"
    legends = [[text.get_text() for text in legend.get_texts()] for legend in drawings[0].legends]
    assert "unit_gain" in legends[0] and "Dropout" not in legends[0]
    assert legends[1] == ["Initialisation", "Learning rate", "Seed", "AlterRec's lead"]


def test_a_study_without_a_tuning_record_says_so(small, draw):
    assert "names no tuning record" in draw("table_tuning", small)["md"].read_text("utf-8")


def test_the_lead_is_over_the_best_model_that_is_no_form_of_the_method(full, draw):
    text = draw("table_tuning", full)["md"].read_text("utf-8")
    means = pd.read_parquet(full / "metrics.parquet").query(
        "dataset == 'beauty' and split == 'validation' and part == 'model' and scope == 'all' and targets == 'all' "
        "and catalogue == 'full' and metric == 'Hits' and k == 20"
    )
    means = means.groupby("model").value.mean()
    lead = 100 * (means["alterrec"] - means["late_ensemble"])
    assert f"beauty: AlterRec − Late ensemble is {lead:+.2f} points".replace("-", "−") in text


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
