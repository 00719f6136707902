"""Writes one table as Markdown, HTML and LaTeX (booktabs), formatted, and as CSV with the unformatted numbers.

A script gives a DataFrame of numbers and a list of `Column`s. Further columns of the DataFrame are found by name:
`<key>_sd` is the standard deviation over seeds, `<key>_low` and `<key>_high` are the ends of an interval, `<key>_mark`
is a significance mark. Columns that start with an underscore control the layout and are not written to the CSV:
`_section` (heading), `_group` (a rule between groups; only rows of group 1 can be best or second), `_label` (row name).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pandas as pd

from alterrec.files import write_text
from alterrec.html import page

MISSING = "–"
ROWS_PER_PAGE = 45  # a longer LaTeX table is split into one table per dataset


@dataclass(frozen=True)
class Column:
    """One printed column. `kind` is a key of `FORMATS`; `best` is +1 if larger is better, -1 if smaller is better."""

    key: str
    title: str
    kind: str = "percent"
    group: str = ""
    best: int = 0
    width: str = ""  # LaTeX width, for a column of sentences


@dataclass(frozen=True)
class Table:
    """The content of one table. `emphasis` maps (row, key) to "best" or "second"; None derives it from `columns`."""

    name: str
    caption: str
    frame: pd.DataFrame
    columns: list[Column]
    notes: list[str] = field(default_factory=list)
    emphasis: dict[tuple[int, str], str] | None = None


def decimal(value: float, digits: int, sign: bool = False) -> str:
    """A decimal with the minus sign U+2212. A value that rounds to zero has no sign."""
    if pd.isna(value):
        return MISSING
    text = f"{abs(value):,.{digits}f}"
    if not float(text.replace(",", "")):
        return text
    return ("−" if value < 0 else "+" if sign else "") + text


def percent(row: pd.Series, key: str) -> str:
    spread = row.get(f"{key}_sd", float("nan"))
    text = decimal(100 * row[key], 2)
    return text if pd.isna(spread) or text == MISSING else f"{text} ± {100 * spread:.2f}"


def number(row: pd.Series, key: str) -> str:
    spread = row.get(f"{key}_sd", float("nan"))
    digits = 3 if abs(row[key]) < 1 else 1
    text = decimal(row[key], digits)
    return text if pd.isna(spread) or text == MISSING else f"{text} ± {decimal(spread, digits)}"


def interval(row: pd.Series, key: str) -> str:
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    return (
        MISSING if pd.isna(low) or pd.isna(high) else f"[{decimal(100 * low, 2)}, {decimal(100 * high, 2)}]"
    )


def probability(row: pd.Series, key: str) -> str:
    return "< 0.001" if row[key] < 0.001 else decimal(row[key], 3)


def text_of(row: pd.Series, key: str) -> str:
    return MISSING if pd.isna(row[key]) or row[key] == "" else str(row[key])


FORMATS: dict[str, Callable[[pd.Series, str], str]] = {
    "text": text_of,
    "count": lambda row, key: decimal(row[key], 0),
    "percent": percent,
    "points": lambda row, key: decimal(100 * row[key], 2, sign=True),
    "change": lambda row, key: MISSING if pd.isna(row[key]) else f"{decimal(100 * row[key], 1, sign=True)} %",
    "interval": interval,
    "number": number,
    "alpha": lambda row, key: MISSING if pd.isna(row[key]) else f"{row[key]:g}",
    "p": probability,
}


def best_and_second(frame: pd.DataFrame, columns: list[Column]) -> dict[tuple[int, str], str]:
    """Best and second of every ranked column within each section, in group 1. Equal printed values share a mark.

    Where all values are equal, none is best. Where all but the best are equal, none is second.
    """
    marks = {}
    competing = frame[frame["_group"] == 1] if "_group" in frame else frame
    sections = competing["_section"] if "_section" in frame else pd.Series("", index=competing.index)
    for column in (column for column in columns if column.best):
        for _, values in competing[column.key].dropna().round(4).groupby(sections):
            order = sorted(values.unique(), reverse=column.best > 0)
            if (values == order[-1]).sum() > 1:
                order.pop()  # the last place of several models is no distinction
            for row, value in values.items():
                if value in order[:2]:
                    marks[row, column.key] = ("best", "second")[order.index(value)]
    return marks


def write(table: Table, out: Path) -> None:
    """Write <out>/<name>.md, .html, .csv and .tex."""
    numbers = table.frame[[column for column in table.frame if not column.startswith("_")]]
    text = markdown(table)
    files = {"md": text, "html": page(text), "tex": latex(table), "csv": numbers.to_csv(index=False)}
    for suffix, text in files.items():
        write_text(out / f"{table.name}.{suffix}", text)


def formatted_rows(
    table: Table, escape: Callable[[str], str], styles: dict[str, str]
) -> list[tuple[str, int, list[str]]]:
    """(section, group, cells) of every row. Cells are escaped; best and second are styled."""
    frame = table.frame.reset_index(drop=True)
    emphasis = best_and_second(frame, table.columns) if table.emphasis is None else table.emphasis
    rows = []
    for row_number, row in frame.iterrows():
        cells = []
        for column in table.columns:
            cell = escape(FORMATS[column.kind](row, column.key))
            style = emphasis.get((row_number, column.key))
            mark = row.get(f"{column.key}_mark", "")
            cells.append(
                (styles[style] % cell if style else cell) + escape(mark if isinstance(mark, str) else "")
            )
        rows.append((row.get("_section", ""), row.get("_group", 1), cells))
    return rows


def markdown(table: Table) -> str:
    """One Markdown table per section under its heading, with the caption above and the notes below."""
    lines, last = [markdown_escape(table.caption), ""], None
    rows = markdown_rows(table) or [("", ["No rows."] + [""] * (len(table.columns) - 1))]
    for section, cells in rows:
        if section != last:
            lines += [""] if last is not None else []
            lines += [f"### {section}", ""] if section else []
            lines += markdown_head(table.columns)
            last = section
        lines.append(markdown_line(cells))
    notes = [f"- {markdown_escape(note)}" for note in table.notes]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def markdown_rows(table: Table) -> list[tuple[str, list[str]]]:
    """(section, cells) of every row in Markdown."""
    rows = formatted_rows(table, markdown_escape, {"best": "**%s**", "second": "<u>%s</u>"})
    return [(section, cells) for section, _, cells in rows]


def markdown_head(columns: list[Column]) -> list[str]:
    """The line of titles, each with its group, and the line of alignments."""
    titles = [markdown_escape(f"{c.group}: {c.title}" if c.group else c.title) for c in columns]
    alignments = [":--" if c.kind == "text" else "--:" for c in columns]
    return [markdown_line(titles), f"|{'|'.join(alignments)}|"]


def markdown_line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown_escape(text: str) -> str:
    """Text with Markdown's special characters escaped; `<` is escaped only if it could open a tag."""
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
    """Booktabs tables, shrunk to the text width if wider. Notes get their own float if the table fills the page."""
    rows = formatted_rows(table, latex_escape, {"best": r"\textbf{%s}", "second": r"\underline{%s}"})
    if len(rows) <= ROWS_PER_PAGE or "dataset" not in table.frame:
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
    if len(rows) + 2 * len(table.notes) <= ROWS_PER_PAGE:  # a note takes about two lines
        floats[-1] += notes
    elif notes:
        floats.append(notes)
    return "\n".join(map(latex_float, floats))


def latex_float(lines: list[str]) -> str:
    """One table* environment."""
    needs = r"% needs \usepackage{array,booktabs,graphicx}"
    head = [r"\begin{table*}[tp]", r"\centering\small\setlength{\tabcolsep}{3pt}"]
    return "\n".join([needs, *head, *lines, r"\end{table*}", ""])


def latex_notes(table: Table) -> list[str]:
    """The lines of the notes; empty if there are none."""
    if not table.notes:
        return []
    notes = [f"{latex_escape(note)}\\par" for note in table.notes]
    return [r"\par\smallskip\begin{minipage}{\textwidth}\footnotesize", *notes, r"\end{minipage}"]


def latex_tabular(
    table: Table, rows: list[tuple[str, int, list[str]]], caption: str, label: str
) -> list[str]:
    """The lines of caption and table body."""
    kinds = [latex_kind(column) for column in table.columns]
    body, last = [], None
    for section, group, cells in rows or [("", 1, ["No rows."] + [""] * (len(kinds) - 1))]:
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
    """The column type: right for numbers, left for text, a paragraph of fixed width for sentences."""
    if column.width:
        return rf">{{\raggedright\arraybackslash}}p{{{column.width}}}"
    return "l" if column.kind == "text" else "r"


def latex_head(columns: list[Column]) -> list[str]:
    """The column titles; neighbouring columns of one group get a common title above."""
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
