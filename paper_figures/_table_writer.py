"""Writes one table: Markdown, HTML and LaTeX (booktabs) with marks, CSV with the numbers as they are.

A script gives a DataFrame of numbers and a list of `Column`s. Companion columns are found by name: `<key>_sd`
is the standard deviation over seeds, `<key>_low` and `<key>_high` an interval, `<key>_mark` a significance
mark. Columns that start with an underscore steer the layout and stay out of the CSV: `_section` (heading),
`_group` (a rule between groups; rows of group 1 compete for best and second), `_label` (a row's name).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pandas as pd

from alterrec.files import write_text
from alterrec.html import page

NOTHING = "–"
PAGE = 45  # rows of a LaTeX table; a longer one becomes one table per dataset


@dataclass(frozen=True)
class Column:
    """One printed column: `kind` is a key of `FORMATS`; `best`: +1 the largest value wins, -1 the least."""

    key: str
    title: str
    kind: str = "percent"
    group: str = ""
    best: int = 0
    width: str = ""  # LaTeX width of a column of running text


@dataclass(frozen=True)
class Table:
    """Everything that the files of one table say; `emphasis` maps (row, key) to "best" or "second"."""

    name: str
    caption: str
    frame: pd.DataFrame
    columns: list[Column]
    notes: list[str] = field(default_factory=list)
    emphasis: dict[tuple[int, str], str] | None = None


def fixed(value: float, digits: int, sign: bool = False) -> str:
    """A decimal with a true minus sign; a value that rounds to nothing has no sign."""
    if pd.isna(value):
        return NOTHING
    text = f"{abs(value):,.{digits}f}"
    if not float(text.replace(",", "")):
        return text
    return ("−" if value < 0 else "+" if sign else "") + text


def percent(row: pd.Series, key: str) -> str:
    spread = row.get(f"{key}_sd", float("nan"))
    text = fixed(100 * row[key], 2)
    return text if pd.isna(spread) or text == NOTHING else f"{text} ± {100 * spread:.2f}"


def number(row: pd.Series, key: str) -> str:
    spread = row.get(f"{key}_sd", float("nan"))
    digits = 3 if abs(row[key]) < 1 else 1
    text = fixed(row[key], digits)
    return text if pd.isna(spread) or text == NOTHING else f"{text} ± {fixed(spread, digits)}"


def interval(row: pd.Series, key: str) -> str:
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    return NOTHING if pd.isna(low) or pd.isna(high) else f"[{fixed(100 * low, 2)}, {fixed(100 * high, 2)}]"


def probability(row: pd.Series, key: str) -> str:
    return "< 0.001" if row[key] < 0.001 else fixed(row[key], 3)


def text_of(row: pd.Series, key: str) -> str:
    return NOTHING if pd.isna(row[key]) or row[key] == "" else str(row[key])


FORMATS: dict[str, Callable[[pd.Series, str], str]] = {
    "text": text_of,
    "count": lambda row, key: fixed(row[key], 0),
    "percent": percent,
    "points": lambda row, key: fixed(100 * row[key], 2, sign=True),
    "change": lambda row, key: NOTHING if pd.isna(row[key]) else f"{fixed(100 * row[key], 1, sign=True)} %",
    "interval": interval,
    "number": number,
    "alpha": lambda row, key: NOTHING if pd.isna(row[key]) else f"{row[key]:g}",
    "p": probability,
}


def best_and_second(frame: pd.DataFrame, columns: list[Column]) -> dict[tuple[int, str], str]:
    """Best and second per ranked column and section, in group 1; values that print alike share a mark."""
    marks = {}
    competing = frame[frame["_group"] == 1] if "_group" in frame else frame
    sections = competing["_section"] if "_section" in frame else pd.Series("", index=competing.index)
    for column in (column for column in columns if column.best):
        for _, values in competing[column.key].dropna().round(4).groupby(sections):
            order = sorted(values.unique(), reverse=column.best > 0)
            for row, value in values.items():
                if value in order[:2]:
                    marks[row, column.key] = ("best", "second")[order.index(value)]
    return marks


def write(table: Table, out: Path) -> None:
    """Write <out>/<name>.md, .html, .csv and .tex, each appearing whole or not at all."""
    numbers = table.frame[[column for column in table.frame if not column.startswith("_")]]
    text = markdown(table)
    files = {"md": text, "html": page(text), "tex": latex(table), "csv": numbers.to_csv(index=False)}
    for suffix, text in files.items():
        write_text(out / f"{table.name}.{suffix}", text)


def rendered(
    table: Table, escape: Callable[[str], str], styles: dict[str, str]
) -> list[tuple[str, int, list[str]]]:
    """(section, group, cells) of every row, escaped and with best and second styled."""
    frame = table.frame.reset_index(drop=True)
    emphasis = best_and_second(frame, table.columns) if table.emphasis is None else table.emphasis
    rows = []
    for number_of_row, row in frame.iterrows():
        cells = []
        for column in table.columns:
            cell = escape(FORMATS[column.kind](row, column.key))
            style = emphasis.get((number_of_row, column.key))
            mark = row.get(f"{column.key}_mark", "")
            cells.append(
                (styles[style] % cell if style else cell) + escape(mark if isinstance(mark, str) else "")
            )
        rows.append((row.get("_section", ""), row.get("_group", 1), cells))
    return rows


def markdown(table: Table) -> str:
    """One Markdown table per section under its heading, the caption above and the notes below."""
    titles = [f"{c.group}: {c.title}" if c.group else c.title for c in table.columns]
    aligned = [":--" if c.kind == "text" else "--:" for c in table.columns]
    head = ["| " + " | ".join(map(markdown_escape, titles)) + " |", "|" + "|".join(aligned) + "|"]
    lines, last = [markdown_escape(table.caption), ""], None
    rows = rendered(table, markdown_escape, {"best": "**%s**", "second": "<u>%s</u>"})
    for section, _, cells in rows or [("", 1, ["No row."] + [""] * (len(titles) - 1))]:
        if section != last:
            lines += ([""] if last is not None else []) + ([f"### {section}", ""] if section else []) + head
            last = section
        lines.append("| " + " | ".join(cells) + " |")
    return (
        "\n".join(
            lines + ([""] + [f"- {markdown_escape(note)}" for note in table.notes] if table.notes else [])
        )
        + "\n"
    )


def markdown_escape(text: str) -> str:
    """Text without Markdown's own signs; a `<` that opens no tag stays."""
    return re.sub(r"[\\|*`]|<(?=[A-Za-z/!])", r"\\\g<0>", " ".join(text.split()))


LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "&": r"\&", "%": r"\%",
    "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "[": "{[}", "<": "$<$", ">": "$>$",
    "±": r"$\pm$", "−": "$-$", "–": "--", "×": r"$\times$", "≤": r"$\leq$", "≥": r"$\geq$",
    "→": r"$\rightarrow$", "α": r"$\alpha$", "†": r"$^{\dagger}$", "‡": r"$^{\ddagger}$",
    "’": "'", "“": "``", "”": "''",
}  # fmt: skip


def latex_escape(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in " ".join(text.split()))


def latex(table: Table) -> str:
    """Booktabs tables of the text's width, shrunk only where wider; where they fill a page the notes are a float apart."""
    rows = rendered(table, latex_escape, {"best": r"\textbf{%s}", "second": r"\underline{%s}"})
    if len(rows) <= PAGE or "dataset" not in table.frame:
        floats = [latex_tabular(table, rows, table.caption, table.name)]
    else:
        pairs = zip(table.frame.dataset, rows, strict=True)
        floats = [
            latex_tabular(
                table,
                [row for _, row in group],
                f"{table.caption} Dataset: {dataset}.",
                f"{table.name}-{dataset}",
            )
            for dataset, group in groupby(pairs, key=lambda pair: pair[0])
        ]
    notes = latex_notes(table)
    if len(rows) + 2 * len(table.notes) <= PAGE:  # a note takes about two lines
        floats[-1] += notes
    elif notes:
        floats.append(notes)
    return "\n".join(map(latex_float, floats))


def latex_float(lines: list[str]) -> str:
    """One table*."""
    needs = r"% needs \usepackage{array,booktabs,graphicx}"
    head = [r"\begin{table*}[tp]", r"\centering\small\setlength{\tabcolsep}{3pt}"]
    return "\n".join([needs, *head, *lines, r"\end{table*}", ""])


def latex_notes(table: Table) -> list[str]:
    """The lines of the notes, if there are any."""
    if not table.notes:
        return []
    notes = [f"{latex_escape(note)}\\par" for note in table.notes]
    return [r"\par\smallskip\begin{minipage}{\textwidth}\footnotesize", *notes, r"\end{minipage}"]


def latex_tabular(
    table: Table, rows: list[tuple[str, int, list[str]]], caption: str, label: str
) -> list[str]:
    """The lines of caption and body."""
    kinds = [latex_kind(column) for column in table.columns]
    body, last = [], None
    for section, group, cells in rows or [("", 1, ["No row."] + [""] * (len(kinds) - 1))]:
        if last is not None and (section, group) != last:
            body.append(r"\midrule")
        if section and (last is None or section != last[0]):
            body.append(rf"\multicolumn{{{len(kinds)}}}{{l}}{{\textit{{{latex_escape(section)}}}}} \\")
        body.append(" & ".join(cells) + r" \\")
        last = (section, group)
    return [
        rf"\caption{{{latex_escape(caption)}}}",
        rf"\label{{tab:{label.removeprefix('table_')}}}",
        r"\smallskip",
        r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{''.join(kinds)}}}",
        *(r"\toprule", *latex_head(table.columns), r"\midrule", *body, r"\bottomrule"),
        r"\end{tabular}}",
    ]


def latex_kind(column: Column) -> str:
    """How a column is set: numbers to the right, text to the left, running text with a ragged right margin."""
    if column.width:
        return rf">{{\raggedright\arraybackslash}}p{{{column.width}}}"
    return "l" if column.kind == "text" else "r"


def latex_head(columns: list[Column]) -> list[str]:
    """The column titles, under spanning titles where neighbouring columns share a group."""
    titles = " & ".join(latex_escape(column.title) for column in columns) + r" \\"
    spans: list[list] = []
    for position, column in enumerate(columns, start=1):
        if spans and spans[-1][0] == column.group:
            spans[-1][2] = position
        else:
            spans.append([column.group, position, position])
    if not any(group for group, _, _ in spans):
        return [titles]
    cells = [rf"\multicolumn{{{b - a + 1}}}{{{'c' if g else 'l'}}}{{{latex_escape(g)}}}" for g, a, b in spans]
    rules = [rf"\cmidrule(lr){{{a}-{b}}}" for g, a, b in spans if g]
    return [" & ".join(cells) + r" \\", " ".join(rules), titles]
