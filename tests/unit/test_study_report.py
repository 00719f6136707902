"""The report: what it says, that it needs no other file, and that a browser shows and sorts it at two widths."""

import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from alterrec.files import file_checksum
from alterrec.study.provenance import environments
from tests.unit import synthetic_summary

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECTIONS = ["claims", "scores", "figures", "data", "tuning", "cost", "provenance"]
MADE_WITH = {
    "python": "3.12.0",
    "versions": {"torch": "2.13.0"},
    "machine": {"device": "cpu", "blas": ["a", "b"]},
}

PROBE = """<!DOCTYPE html><iframe style="border: 0; width: %dpx; height: 900px" srcdoc="%s"></iframe><pre></pre>
<script>
addEventListener("load", () => {
  const page = document.querySelector("iframe").contentDocument, room = page.documentElement.clientWidth;
  const wide = [...page.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > room + 1);
  const table = page.querySelector("#scores table"), heads = table.tHead.rows[0].cells;
  const column = index => [...table.tBodies[0].rows].map(row => row.cells[index].innerText.split(/[\\s†‡]/)[0]);
  const click = index => { heads[index].querySelector("button").click(); return heads[index].ariaSort; };
  const found = {width: page.defaultView.innerWidth, wide: wide.map(e => e.outerHTML.slice(0, 200))};
  found.scrolls = page.documentElement.scrollWidth > room;
  found.first = [click(2), column(2)];
  found.again = [click(2), column(2)];
  found.names = [click(0), [...table.tBodies[0].rows].map(row => row.cells[0].innerText)];
  table.querySelector("td[title]").click();
  found.tests = table.parentElement.querySelector("output").innerText;
  document.querySelector("pre").textContent = JSON.stringify(found);
});
</script>"""


def write_report(folder: Path, summary: Path, figures: Path) -> Path:
    """Run the script by its command line."""
    page = folder / "report.html"
    run_script("study_report", summary, figures, page)
    return page


def run_script(name: str, *arguments: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, f"paper_figures/{name}.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def summary(tmp_path_factory) -> Path:
    folder = synthetic_summary.write(tmp_path_factory.mktemp("report") / "summary")
    study = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(study | {"environments": [MADE_WITH | {"runs": 41}]}))
    return folder


@pytest.fixture(scope="module")
def page(summary) -> Path:
    run_script("figure_claims", summary, summary.parent / "figures")
    return write_report(summary.parent, summary, summary.parent / "figures")


@pytest.fixture(scope="module")
def text(page) -> str:
    return page.read_text(encoding="utf-8")


def section(text: str, name: str) -> str:
    return text.split(f'<section id="{name}">')[1].split("</section>")[0]


def test_claims_come_first_each_with_its_verdict(text, summary):
    assert re.findall(r'<section id="(\w+)">', text) == SECTIONS
    claims = pd.read_parquet(summary / "claims.parquet")
    claims = claims[claims.primary]
    shown = re.findall(
        r'<li><strong>(C\d)</strong>.*?<span class="verdict (\w+)">', section(text, "claims"), re.S
    )
    assert sorted(shown) == sorted(zip(claims.claim, claims.verdict, strict=True))


def test_the_page_needs_no_other_file(text):
    loaded = re.findall(r"""(?:src|href)=["']([^"']*)""", text)
    outside = {target for target in loaded if not target.startswith(("#", "data:"))}
    assert outside == {"https://arxiv.org/abs/2402.08921"}, "a link to read, nothing to load"
    assert not re.search(r"<link|@import|url\(|<script .*src", text)


def test_scores_are_those_of_the_summary_with_the_tests_of_their_model(text, summary):
    label = re.escape(synthetic_summary.LABELS["late_ensemble"])
    beauty = section(text, "scores").split("<h3>beauty</h3>")[1]
    cells = re.search(rf"<td>{label}</td>(.*?)</tr>", beauty, re.S)[1].split("<td ")[1:]
    metrics = pd.read_parquet(summary / "metrics.parquet")
    chosen = (
        "dataset == 'beauty' and model == 'late_ensemble' and split == 'test' and part == 'model' and k == 20"
    )
    chosen += " and scope == 'all' and targets == 'all' and catalogue == 'full' and metric == 'Hits'"
    hits = metrics.query(chosen)["value"]
    assert f">{100 * hits.mean():.2f}</span>" in cells[1] and f"± {100 * hits.std():.2f}<" in cells[1]
    tests = html.unescape(re.search(r'title="(.*?)"', cells[1], re.S)[1]).splitlines()
    assert "Late ensemble − AlterRec: −0.29 points [−0.59, 0.01], p (Holm) 0.440" in tests
    assert "Late ensemble − Fusion (sum): +2.66 points [2.36, 2.96], p (Holm) < 0.001" in tests
    assert "title=" not in cells[0], "Hits@10 was not tested"


def test_names_are_escaped(text):
    assert "Newcomer &amp; Co_100%" in text and "Newcomer & Co" not in text


def test_the_command_below_a_figure_draws_it_again(text, page):
    figure = page.parent / "figures" / "figure_claims.png"
    before = file_checksum(figure)
    figure.unlink()
    [command] = re.findall(r"Drawn by <code>(.*?)</code>", text)
    python, script, *arguments = shlex.split(html.unescape(command))
    assert (python, script) == ("python", "paper_figures/figure_claims.py")
    run_script("figure_claims", *arguments)
    assert file_checksum(figure) == before
    assert "<strong>Claims C1 to C8.</strong>" in text and "mailto:" not in text


def test_data_tuning_cost_and_provenance_are_shown(text):
    assert "17,890 train, 2,236 validation, 2,237 test" in section(text, "data")
    assert "12,101, of which 101 occur in no training session" in section(text, "data")
    assert "learning rate" in section(text, "tuning")
    assert re.search(r"trained for \d+\.\d\d hours", section(text, "cost"))
    provenance = section(text, "provenance")
    assert all(fact in provenance for fact in ("41 runs", "3.12.0", "<dt>torch</dt><dd>2.13.0", "a, b"))


def test_equal_input_gives_equal_bytes(page, summary, tmp_path):
    again = write_report(tmp_path, summary, summary.parent / "figures")
    assert again.read_bytes() == page.read_bytes()


def test_a_study_without_claims_figures_tuning_and_provenance_has_a_page(tmp_path):
    models = ("popularity", "newcomer_100%")
    folder = synthetic_summary.write(tmp_path / "summary", models=models, datasets=("beauty",))
    for name in ("claims", "tuning"):
        empty = pd.read_parquet(folder / f"{name}.parquet").iloc[:0]
        empty.to_parquet(folder / f"{name}.parquet")
    text = write_report(tmp_path, folder, tmp_path / "figures").read_text(encoding="utf-8")
    for sentence in ("has no claims", "has no tuning record", "does not say with which versions"):
        assert sentence in text


def test_environments_count_the_runs_that_were_made_alike(tmp_path):
    other = MADE_WITH | {"machine": {"device": "cuda"}}
    runs = [tmp_path / name for name in ("a", "b", "c", "of_another_program")]
    for run, made_with in zip(runs, [MADE_WITH, other, MADE_WITH | {"code": "1"}], strict=False):
        run.mkdir()
        (run / "provenance.json").write_text(json.dumps({"code": "0"} | made_with))
    assert environments(runs) == [MADE_WITH | {"runs": 2}, other | {"runs": 1}]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_the_page_without_errors_or_scrolling_sideways_and_sorts(text, tmp_path, width):
    (tmp_path / "probe.html").write_text(PROBE % (width, html.escape(text)), encoding="utf-8")
    options = (
        "--headless --no-sandbox --disable-gpu --enable-logging=stderr --dump-dom --window-size=1400,1000"
    )
    command = [
        CHROMIUM,
        *options.split(),
        f"--user-data-dir={tmp_path / 'profile'}",
        f"file://{tmp_path}/probe.html",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    found = json.loads(html.unescape(re.search(r"<pre>(.*?)</pre>", done.stdout, re.S)[1]))
    assert (found["width"], found["scrolls"], found["wide"]) == (width, False, [])
    order, column = found["first"]
    values = [*map(float, column)]
    assert order == "descending" and values == sorted(values, reverse=True) and len(set(values)) > 5
    order, column = found["again"]
    assert order == "ascending" and [*map(float, column)] == values[::-1]
    order, names = found["names"]
    initials = [name[0].casefold() for name in names]
    assert order == "ascending" and initials == sorted(initials)
    assert " points [" in found["tests"] and "p (Holm)" in found["tests"]
