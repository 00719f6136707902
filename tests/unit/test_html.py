"""Markdown becomes a complete HTML page, and the module's name does not hide the standard library's `html`."""

import html
import subprocess
import sys

from alterrec.html import page

MARKDOWN = "# Beauty\n\n| Split | test |\n| --- | --- |\n| Sessions < 10 {all} | 3 |\n"


def test_a_page_has_headings_and_tables():
    text = page(MARKDOWN)
    assert text.startswith("<!DOCTYPE html>")
    assert text.endswith("</html>\n")
    assert "<h1>Beauty</h1>" in text
    assert "<th>Split</th>" in text
    assert f"<td>{html.escape('Sessions < 10 {all}')}</td>" in text


def test_the_command_of_the_workflow_writes_the_page(tmp_path, request):
    (tmp_path / "card.md").write_text(MARKDOWN, encoding="utf-8")
    command = [sys.executable, "-m", "alterrec.html", tmp_path / "card.md", tmp_path / "card.html"]
    subprocess.run(command, check=True, cwd=request.config.rootpath)
    assert (tmp_path / "card.html").read_text(encoding="utf-8") == page(MARKDOWN)
