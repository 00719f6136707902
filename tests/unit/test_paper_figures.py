"""Every script of paper_figures/ on a synthetic summary: all files, reproducible, the same numbers in every format."""

import importlib
import os
import re
import runpy
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alterrec.errors import UserError
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
    """A study of two models on one dataset and its twin, without AlterRec and without fusions."""
    folder = tmp_path_factory.mktemp("small") / "summary"
    return synthetic_summary.write(folder, models=("popularity", NEWCOMER), datasets=("beauty",))


@pytest.fixture(scope="module")
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


@pytest.mark.parametrize("script", TABLES + FIGURES)
def test_two_runs_write_the_same_bytes(script, full, draw):
    first, second = draw(script, full), draw(script, full, "second")
    for kind, path in first.items():
        assert path.stat().st_size > 200
        assert path.read_bytes() == second[kind].read_bytes(), f"{path.name} differs between two runs"
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(p.name for p in first.values())


@pytest.mark.parametrize("script", TABLES + FIGURES)
def test_a_study_of_two_models_gets_every_file(script, small, draw):
    for path in draw(script, small).values():
        assert path.stat().st_size > 0


@pytest.mark.parametrize("script", FIGURES)
def test_fonts_are_embedded_as_truetype(script, full, draw):
    pdf = draw(script, full)["pdf"].read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Subtype /Type3" not in pdf and b"/CreationDate" not in pdf


@pytest.mark.parametrize("script", ["figure_long_tail", "table_claims"])
def test_another_process_writes_the_same_bytes(script, full, draw, tmp_path):
    here = draw(script, full)
    out = tmp_path / "elsewhere"
    command = [sys.executable, f"paper_figures/{script}.py", str(full), str(out)]
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    for path in here.values():
        assert path.read_bytes() == (out / path.name).read_bytes()


@pytest.mark.parametrize("script", TABLES)
def test_markdown_latex_and_csv_have_the_same_numbers(script, full, draw):
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
def test_an_unknown_model_has_a_row_in_every_format(script, full, draw):
    files = draw(script, full)
    label = synthetic_summary.LABELS[NEWCOMER]
    assert f"| {label} |" in files["md"].read_text("utf-8")
    assert label.replace("&", r"\&").replace("_", r"\_").replace("%", r"\%") in files["tex"].read_text(
        "utf-8"
    )
    assert NEWCOMER in set(pd.read_csv(files["csv"]).model)


@pytest.mark.parametrize("script", RANKED)
def test_markdown_and_latex_have_the_same_marks(script, full, draw):
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


def test_the_main_table_says_what_a_model_was_given(full, draw):
    rows = pd.read_csv(draw("table_main_comparison", full)["csv"]).set_index(["dataset", "model"])
    tried = pd.read_parquet(full / "tuning.parquet").groupby(["dataset", "model"]).trial.nunique()
    budgets = pd.read_parquet(full / "budgets.parquet")
    given = budgets.groupby(["dataset", "model", "seed"]).updates.sum().groupby(["dataset", "model"]).mean()
    assert rows.trials.dropna().to_dict() == tried.loc[list(rows.trials.dropna().index)].to_dict() != {}
    assert rows.steps.dropna().to_dict() == pytest.approx(
        given.loc[list(rows.steps.dropna().index)].to_dict()
    )
    assert pd.isna(rows.steps["beauty", "popularity"])


def test_ensembles_are_explained_only_where_they_appear(full, small, draw):
    sentence = "Late ensemble: an ID network and a text network, trained independently"
    for script in (*WITH_ALL_MODELS, "table_ablation", "table_significance", "table_tuning"):
        assert draw(script, full)["md"].read_text("utf-8").count(sentence) == 1
    for script in ("table_main_comparison", "table_undertraining"):
        assert sentence not in draw(script, small)["md"].read_text("utf-8")


def test_rows_follow_the_study_between_floor_and_ceiling(full, draw):
    rows = pd.read_csv(draw("table_main_comparison", full)["csv"])
    controls = ["random", "popularity"], ["oracle"]
    compared = [model for model in synthetic_summary.HITS if model not in sum(controls, [])]
    assert list(rows.model[rows.dataset == "beauty"]) == [*controls[0], *compared, *controls[1]]


def test_the_steps_of_the_decomposition_add_up_to_the_lead(full, draw):
    steps = pd.read_csv(draw("table_decomposition", full)["csv"])
    for _, rows in steps.groupby("dataset"):
        assert len(rows) == 6 and rows.difference.notna().all()
        of_order = rows.groupby("order").difference.sum()
        lead = of_order["Sum of the three steps"]
        assert of_order["Loss, then choice, then exchange"] == pytest.approx(lead)
        loss = rows.difference[rows.step.str.startswith("loss")].item()
        assert loss + of_order["Loss, then exchange, then choice"] == pytest.approx(lead)


def test_claims_name_models_and_datasets_by_their_labels(full, draw):
    claims = pd.read_parquet(full / "claims.parquet")
    assert "alterrec - late_ensemble" in set(claims.comparison)
    text = draw("table_claims", full)["md"].read_text("utf-8")
    assert "AlterRec − Late ensemble" in text and "late_ensemble" not in text


def test_labels_replace_whole_keys_only(readme_tables, full):
    study = readme_tables.Study(full)
    keys = "alterrec_aug, alterrec - late_ensemble on journey-drugstore, not random words or id_only_twice"
    assert study.with_labels(keys) == (
        "AlterRec (aug), AlterRec - Late ensemble on Drugstore, not random words or id_only_twice"
    )


def test_equal_values_have_no_best(readme_tables):
    import _table_writer

    columns = [_table_writer.Column("tied", "", best=1), _table_writer.Column("untied", "", best=-1)]
    frame = pd.DataFrame({"tied": [0.3, 0.300001], "untied": [0.2, 0.1]})
    marks = _table_writer.best_and_second(frame, columns)
    assert marks == {(0, "untied"): "second", (1, "untied"): "best"}


def test_the_forest_plot_has_a_row_interval_and_verdict_for_every_tested_claim(full, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        import figure_claims
        from _summary_folder import Study

        drawings = []
        patch.setattr(figure_claims.style, "save", lambda drawing, *_: drawings.append(drawing))
        figure_claims.main(Study(full), tmp_path)
    claims = pd.read_parquet(full / "claims.parquet").query("primary and dataset == 'beauty'")
    panel = drawings[0].axes[1]
    assert [text.get_text() for text in panel.texts] == claims.sort_values("claim").verdict.to_list()
    assert [label.get_text()[:2] for label in panel.get_yticklabels()] == sorted(claims.claim)
    intervals = [line.get_xdata() for line in panel.lines if len(line.get_xdata()) == 2][:-1]
    shown = sorted(value for interval in intervals for value in interval)
    assert shown == pytest.approx(sorted(100 * claims[["low", "high"]].to_numpy().ravel()))


RECORD = "initialisation learning_rate schedule dropout validation_hits20"
GRID = [
    ("xavier", 0.001, "step", 0.1, 0.20),  # the best point
    ("authors", 0.001, "step", 0.1, 0.15),  # range over initialisation: 0.05
    ("unit_gain", 0.001, "step", 0.1, 0.18),
    ("xavier", 0.003, "step", 0.1, 0.19),  # range over the learning rate: 0.01
    (
        "xavier",
        0.003,
        "constant",
        0.1,
        0.02,
    ),  # no range over the schedule: never varied alone from the best point
    ("authors", 0.003, "constant", 0.1, 0.01),
]


@pytest.fixture
def tuned(tmp_path) -> Path:
    """A study of one dataset with a tuning record of six points of one model."""
    folder = synthetic_summary.write(tmp_path / "summary", datasets=("beauty",))
    points = pd.DataFrame(GRID, columns=RECORD.split())
    points = points.assign(dataset="beauty", model="id_only", seed=0, best_epoch=3, epochs=9, updates=90)
    points.to_parquet(folder / "tuning.parquet")
    return folder


def test_tuning_ranges_vary_one_setting_from_the_best_point(tuned, draw):
    files = draw("table_tuning", tuned)
    row = pd.read_csv(files["csv"]).iloc[0]
    assert [row[axis] for axis in RECORD.split()[:4]] == ["xavier", 0.001, "step", 0.1]
    assert (row.points, row.best, row.worst) == (6, 0.2, 0.01)
    assert [row.range_initialisation, row.range_learning_rate] == pytest.approx([0.05, 0.01])
    assert row[["range_schedule", "range_dropout"]].isna().all()
    scores = pd.read_parquet(tuned / "metrics.parquet").query(
        "model == 'id_only' and dataset == 'beauty' and split == 'validation' and part == 'model' and scope == 'all' "
        "and targets == 'all' and catalogue == 'full' and metric == 'Hits' and k == 20"
    )
    assert len(scores) == 3 and row.range_seed == pytest.approx(scores.value.max() - scores.value.min())
    head = files["md"].read_text("utf-8")
    assert "Best trial: schedule" in head and "Best trial: dropout" not in head, "dropout was not varied"
    assert "Range over: learning rate" in head and "Range over: schedule" not in head


def drawn(script: str, summary: Path):
    """The figure that a script draws from a summary."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        module, folder = importlib.import_module(script), importlib.import_module("_summary_folder")
        drawings = []
        patch.setattr(module.style, "save", lambda drawing, *_: drawings.append(drawing))
        module.main(folder.Study(summary), Path("unused"))
    return drawings[0]


def marks(panel) -> list[tuple[float, float]]:
    """Learning rate and score of all marks but the ring."""
    lines = [line for line in panel.lines if line.get_markersize() < 10]
    return sorted((line.get_xdata()[0], line.get_ydata()[0]) for line in lines)


def test_the_tuning_figure_shows_every_point_of_a_grid(tuned):
    drawing = drawn("figure_tuning", tuned)
    panel = drawing.axes[0]
    expected = sorted((rate, 100 * score) for _, rate, _, _, score in GRID)
    assert np.array(marks(panel)) == pytest.approx(np.array(expected))
    assert [*panel.get_xticks()] == [0.001, 0.003]
    names = [text.get_text() for text in drawing.legends[0].get_texts()]
    assert "unit_gain" in names and "stopped early" not in names


def test_the_tuning_figure_shows_a_trial_once_and_opens_the_marks_of_stopped_ones(full):
    drawing = drawn("figure_tuning", full)
    panel = next(axes for axes in drawing.axes if axes.get_title() == synthetic_summary.LABELS["alterrec"])
    assert len(marks(panel)) == 24
    filled = [line for line in panel.lines if line.get_markerfacecolor() not in ("white", "none")]
    ring = max(panel.lines, key=lambda line: line.get_markersize())
    assert len(filled) == 3 + (ring in filled), "three trials reached the last rung"
    assert ring.get_ydata()[0] == max(score for _, score in marks(panel))


def test_the_tuning_table_has_each_branch_the_models_own_settings_and_the_edges(full, draw):
    files = draw("table_tuning", full)
    head, rows = files["md"].read_text("utf-8"), pd.read_csv(files["csv"])
    for column in ("text learning rate", "own settings", "at an edge of the space"):
        assert f"Best trial: {column}" in head
    assert "Range over: dropout" not in head, "trials do not vary one setting alone"
    assert rows.points.eq(24).all() and rows.edge.eq("learning_rate").all()
    assert rows[rows.model == "alterrec"].own.str.startswith("k1 ").all()


def test_the_tuning_table_says_if_there_is_no_record(small, draw):
    assert "has no tuning record" in draw("table_tuning", small)["md"].read_text("utf-8")


def test_the_lead_is_over_the_best_model_that_is_no_variant_of_alterrec(full, draw):
    text = draw("table_tuning", full)["md"].read_text("utf-8")
    means = pd.read_parquet(full / "metrics.parquet").query(
        "dataset == 'beauty' and split == 'validation' and part == 'model' and scope == 'all' and targets == 'all' "
        "and catalogue == 'full' and metric == 'Hits' and k == 20"
    )
    means = means.groupby("model").value.mean()
    lead = 100 * (means["alterrec"] - means["late_ensemble"])
    assert f"beauty: AlterRec − Late ensemble is {lead:+.2f} points".replace("-", "−") in text


def test_the_long_tail_figure_shows_differences_from_id_only_without_lines(tmp_path):
    folder = synthetic_summary.write(tmp_path / "summary", datasets=("beauty",))
    tail = pd.read_parquet(folder / "long_tail.parquet")
    tail.loc[tail.bin == 0, "instances"] = 49
    tail.to_parquet(folder / "long_tail.parquet")
    (panel,) = drawn("figure_long_tail", folder).axes
    assert [label.get_text().split("\n")[0] for label in panel.get_xticklabels()][0] == "1–3", "no cold bin"
    containers = {container.get_label(): container for container in panel.containers}
    points, _, (bars,) = containers[synthetic_summary.LABELS["alterrec"]]
    expected = tail.query("model == 'alterrec' and dataset == 'beauty' and bin > 0").sort_values("bin")
    assert points.get_linestyle() == "None", "a line would join points of different bins"
    assert points.get_ydata() == pytest.approx(100 * expected.difference.to_numpy())
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert ends == pytest.approx(100 * expected[["difference_low", "difference_high"]].to_numpy())
    assert synthetic_summary.LABELS["id_only"] not in containers


def test_the_panels_of_an_alternation_row_share_their_range_and_the_ensemble_has_a_band(full):
    panels = drawn("figure_alternation", full).axes
    for row in (panels[:3], panels[3:]):
        assert len({panel.get_ylim() for panel in row}) == 1
    metrics = pd.read_parquet(full / "metrics.parquet").query(
        "model == 'late_ensemble' and dataset == 'beauty' and split == 'validation' and part == 'model' and "
        "scope == 'all' and targets == 'all' and catalogue == 'full' and metric == 'Hits' and k == 20"
    )
    (band,) = panels[5].patches
    assert (band.get_y(), band.get_height()) == pytest.approx(
        (100 * metrics.value.min(), 100 * (metrics.value.max() - metrics.value.min()))
    )


def test_the_cost_of_an_ensemble_includes_its_members(full, draw):
    table = pd.read_csv(draw("table_coverage", full)["csv"]).query("dataset == 'beauty'").set_index("model")
    members = ["late_ensemble", "id_only", "text_only"]
    assert table.total["late_ensemble"] == pytest.approx(table.seconds[members].sum())
    assert table.total["alterrec"] == table.seconds["alterrec"]


def test_a_column_in_which_all_models_are_equal_has_no_best(tmp_path, draw):
    folder = synthetic_summary.write(tmp_path / "summary", datasets=("beauty",))
    coverage = pd.read_parquet(folder / "coverage.parquet").assign(coverage=0.5)
    coverage.to_parquet(folder / "coverage.parquet")
    text = draw("table_coverage", folder)["md"].read_text("utf-8")
    assert "**50.00" not in text and text.count("**") == 2, "only the Gini index has a best"


def compiled(folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, SCRIPTS / "paper_pdf.py", folder, folder, folder / "paper.pdf"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)


@pytest.mark.skipif(
    not shutil.which("pdflatex"), reason="pdflatex is missing: apt-get install texlive-latex-extra"
)
def test_latex_compiles_every_table_and_figure_to_equal_bytes(full, draw, tmp_path):
    for script in TABLES + FIGURES:
        shutil.copy(draw(script, full)["tex" if script in TABLES else "pdf"], tmp_path)
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


def test_a_missing_summary_is_a_one_line_error(draw, tmp_path):
    with pytest.raises(SystemExit, match=r"study\.json is missing"):
        draw("table_claims", tmp_path)


@pytest.mark.parametrize("script", TABLES + FIGURES)
def test_every_script_has_a_caption_for_the_report(script):
    assert (ROOT / "workflow" / "report" / f"{script}.rst").read_text("utf-8").startswith("**")


@pytest.fixture
def readme_tables(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("readme_tables")


MARKERS = (
    "Intro\n\n<!-- syn:main -->\nold\n<!-- /syn:main -->\n\n<!-- syn:claims -->\n<!-- /syn:claims -->\nEnd\n"
)


def test_page_tables_replace_the_text_between_the_markers(readme_tables, full):
    page = readme_tables.with_tables(MARKERS, "syn", readme_tables.Study(full))
    assert page.startswith("Intro\n\n<!-- syn:main -->\n| Model | Drugstore: Hits@20 |") and page.endswith(
        "<!-- /syn:claims -->\nEnd\n"
    )
    assert "old" not in page and "| Popularity (floor) |" in page
    verdict = next(line for line in page.splitlines() if line.startswith("| C3 "))
    assert re.fullmatch(r"\| C3 .* \| supported \| [−+]\d.* \[.*\] \| supported \| .* \|", verdict)
    assert readme_tables.with_tables(page, "syn", readme_tables.Study(full)) == page


@pytest.mark.parametrize("page", ["no marker", MARKERS + MARKERS, MARKERS.replace("/syn:main", "syn:main")])
def test_page_tables_need_each_marker_once(readme_tables, full, page):
    with pytest.raises(UserError, match="syn:main.* must each occur once"):
        readme_tables.with_tables(page, "syn", readme_tables.Study(full))


@pytest.mark.parametrize(("page", "name"), [("README.md", "beauty"), ("docs/demo.md", "demo")])
def test_committed_pages_have_the_tables_of_the_committed_summaries(readme_tables, page, name):
    assert readme_tables.PAGES[page] == name
    text = (ROOT / page).read_text("utf-8")
    study = readme_tables.Study(ROOT / "results" / "reference" / name / "summary")
    assert readme_tables.with_tables(text, name, study) == text, "run `python paper_figures/readme_tables.py`"


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
