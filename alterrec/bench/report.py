"""The benchmark's report: what the demo study, the reading of a large source, and the engine cost on this machine.

`python -m alterrec bench --out DIR [--parts study parsing engine]` writes DIR/bench.json and DIR/bench.md after each
part. The engine's part also draws DIR/bench.png and bench.pdf. A part has a title, remarks and tables. A table has a
caption, rows and, in some cases, a note.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from alterrec.errors import UserError
from alterrec.files import write_json, write_text

PARTS = ("study", "parsing", "engine")


def bench(out: Path, parts: tuple[str, ...] = PARTS, data: Path | None = None) -> None:
    """Measure the `parts`, print their tables and write them into `out`. `data` is a prepared dataset for the engine.

    UserError, before anything is measured, where a part cannot run in this folder or `data` cannot be read.
    """
    from alterrec.bench import engine_cost, parsing_cost, synthetic, workflow_cost
    from alterrec.bench.machine import machine

    if "study" in parts and not Path("Snakefile").is_file():
        raise UserError(
            "there is no Snakefile here, and the part `study` needs it: run the benchmark in the repository's root, "
            "or name the other parts with --parts"
        )
    if data:
        synthetic.load_dataset(str(data), 0, 0)
        synthetic.load_vectors(str(data), 0)
    command = ["python", "-m", "alterrec", "bench", "--out", str(out), "--parts", *parts]
    report = {"command": shlex.join(command + ["--data", str(data)] * bool(data)), "machine": machine()}
    measure = {
        "study": workflow_cost.cost,
        "parsing": lambda: parsing_cost.cost(out),
        "engine": lambda: engine_cost.cost(out, data),
    }
    report["parts"] = {}
    for part in parts:
        report["parts"][part] = measure[part]()
        print(section_text(report["parts"][part]), flush=True)
        write_json(out / "bench.json", report)
        write_text(out / "bench.md", report_text(report))


def report_text(report: dict) -> str:
    """The whole report as Markdown."""
    facts = ", ".join(f"{key} {value}" for key, value in report["machine"].items())
    sections = map(section_text, report["parts"].values())
    return "\n".join([f"# `{report['command']}`", "", f"Measured on: {facts}.", "", *sections])


def section_text(section: dict) -> str:
    """One part as Markdown: title, remarks, tables."""
    lines = [f"## {section['title']}", "", *(f"{remark}\n" for remark in section["remarks"])]
    for table in section["tables"]:
        note = [table["note"], ""] if "note" in table else []
        lines += [f"### {table['caption']}", "", *note, table_text(table["rows"]), ""]
    return "\n".join(lines)


def table_text(rows: list[dict]) -> str:
    """Rows (dicts with the same keys) as a Markdown table. Floats have three significant digits."""
    from tabulate import tabulate

    cells = [[cell_text(value) for value in row.values()] for row in rows]
    numeric = [any(isinstance(row[key], int | float) for row in rows) for key in rows[0]]
    alignment = ["right" if is_numeric else "left" for is_numeric in numeric]
    return tabulate(cells, list(rows[0]), tablefmt="pipe", disable_numparse=True, colalign=alignment)


def cell_text(value: object) -> str:
    """A float with three significant digits, an int in full, both with commas. None is an empty text."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{float(f'{value:.3g}'):,}".removesuffix(".0")
    return f"{value:,}" if isinstance(value, int) else str(value)
