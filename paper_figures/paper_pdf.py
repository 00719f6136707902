"""All LaTeX tables and all figures in one PDF, each on a page of its own.

It needs pdflatex with the packages adjustbox, array, booktabs, geometry and graphicx:
python paper_figures/paper_pdf.py TABLES FIGURES PAPER
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from _captions import caption, captioned, title

from alterrec.errors import UserError
from alterrec.files import atomic

# Without dates and names of this machine, so that equal tables and figures give equal bytes.
HEAD = r"""
\pdfinfoomitdate=1 \pdfsuppressptexinfo=-1 \pdftrailerid{}
\documentclass[10pt]{article}
\usepackage[a4paper,margin=2cm]{geometry}
\usepackage[export]{adjustbox}
\usepackage{array,booktabs,graphicx}
\begin{document}
"""
FIGURE = r"""
\begin{figure*}[p]\centering
\includegraphics[max width=\textwidth,max height=0.75\textheight]{%s}
\caption{%s}
\par\smallskip\begin{minipage}{\textwidth}\footnotesize\setlength{\parskip}{\smallskipamount}
%s
\end{minipage}
\end{figure*}
"""


def main(tables: Path, figures: Path, paper: Path) -> None:
    sources, drawings = sorted(tables.glob("table_*.tex")), captioned(figures, "pdf")
    if not sources + drawings:
        raise UserError(
            f"{tables} and {figures} have neither a table_*.tex nor a figure_*.pdf: draw them first"
        )
    pages = [rf"\input{{{source.name}}}" for source in sources]
    pages += [FIGURE % (drawing.name, title(drawing), caption(drawing, "latex")) for drawing in drawings]
    with TemporaryDirectory() as folder:
        for path in [*sources, *drawings]:
            shutil.copy(path, folder)
        text = HEAD + "\n\\clearpage\n".join(pages) + "\n\\end{document}\n"
        compiled = compile_latex(text, Path(folder))
        with atomic(paper) as temporary:
            shutil.copy(compiled, temporary)


def compile_latex(text: str, folder: Path) -> Path:
    """The PDF of a document that is compiled in `folder`. UserError if LaTeX is missing or refuses the document."""
    if not shutil.which("pdflatex"):
        raise UserError(
            "there is no pdflatex: install a TeX distribution, on Debian texlive-latex-recommended"
        )
    (folder / "paper.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    print(done.stdout)
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if line.startswith("!")]
        raise UserError(f"pdflatex: {' '.join(errors)}: its messages are above")
    return folder / "paper.pdf"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, help="folder of a study's tables: results/<name>/tables")
    parser.add_argument("figures", type=Path, help="folder of a study's figures")
    parser.add_argument("paper", type=Path, help="file that is written, for example results/<name>/paper.pdf")
    try:
        main(**vars(parser.parse_args()))
    except UserError as error:
        sys.exit(f"error: {error}")
