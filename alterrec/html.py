"""Turns Markdown into an HTML page: the report shows HTML, but offers Markdown only as a download.

`python -m alterrec.html FILE.md PAGE.html` converts one file. Run it as a module only: run as a script, this file would
take the place of the standard library's `html`.
"""

import sys
from pathlib import Path

from markdown_it import MarkdownIt

from alterrec.files import write_text

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<style>
body {{ font: 14px/1.5 sans-serif; margin: 1.5em; color: #222 }}
table {{ border-collapse: collapse; font-size: 13px; margin: 1em 0 }}
th, td {{ padding: 3px 9px; border-bottom: 1px solid #ddd; vertical-align: top }}
th {{ border-bottom: 2px solid #888; vertical-align: bottom }}
</style>
{body}</html>
"""


def page(markdown: str) -> str:
    """The complete HTML page for a Markdown text. Tables are rendered; raw HTML in it is kept as it is."""
    return PAGE.format(body=MarkdownIt().enable("table").render(markdown))


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    write_text(target, page(source.read_text(encoding="utf-8")))
