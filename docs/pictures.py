"""Draw the pictures of docs/architecture.md from the workflow's rules and from the method's schedule: python docs/pictures.py

Each picture is a Mermaid block between the markers `<!-- picture:NAME -->` and `<!-- /picture:NAME -->` of the page.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from itertools import groupby, islice
from pathlib import Path

from alterrec.method.alternation import alternation, other
from alterrec.study.settings import AlterRecConfig

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
STUDY = ROOT / "workflow" / "config" / "test.yaml"
LISTED = 4  # files of one type that a node names; more are shown as *.type
EPOCHS = 12


def main() -> None:
    PAGE.write_text(with_pictures(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def with_pictures(page: str) -> str:
    """The page with every picture drawn anew."""
    for name, draw in {"data_flow": data_flow, "alternation": alternation_diagram}.items():
        markers = rf"(<!-- picture:{name} -->\n).*?(<!-- /picture:{name} -->)"
        block = f"```mermaid\n{draw()}\n```\n"
        page, found = re.subn(
            markers, lambda match, block=block: match[1] + block + match[2], page, flags=re.S
        )
        if found != 1:
            raise SystemExit(
                f"{PAGE}: the markers of picture {name!r} must occur once, they occur {found} times"
            )
    return page


# The data flow


def data_flow() -> str:
    """The workflow's rules with the files that they write, as a Mermaid flowchart."""
    files, edges = rule_graph()
    names = {name: f"r{number}" for number, name in enumerate(sorted(files))}
    nodes = [f'    {names[name]}["{label(name, files[name])}"]' for name in names]
    arrows = [f"    {names[source]} --> {names[target]}" for source, target in sorted(edges)]
    return "\n".join(["flowchart TB", *nodes, *arrows])


def rule_graph() -> tuple[dict[str, set[str]], set[tuple[str, str]]]:
    """Rule -> names of the files that it writes, and the edges between rules. Rules of one kind of output are one node."""
    command = [sys.executable, "-m", "snakemake", "--filegraph", "--configfile", STUDY]
    environment = os.environ | {"COLUMNS": "80"}
    dot = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    ).stdout
    rules, files = {}, {}
    for number, body in re.findall(r"^(\d+) \[ shape=none(.*?)</table>>\]", dot, re.S | re.M):
        rule = collapsed(re.search(r'point-size="18">(.+?)<', body)[1])
        _, _, output = body.partition("output &rarr;")
        paths = re.findall(r'face="monospace">(.+?)</font>', output)
        rules[number] = rule
        files.setdefault(rule, set()).update(file_name(unescape(path)) for path in paths)
    edges = re.findall(r"^\s*(\d+) -> (\d+)", dot, re.M)
    return files, {(rules[source], rules[target]) for source, target in edges}


def collapsed(rule: str) -> str:
    kind = rule.split("_")[0]
    return f"{kind}_*" if kind in ("table", "figure") else rule


def file_name(path: str) -> str:
    """The last part of a path, its wildcards without their constraints."""
    return re.sub(r"\{(\w+)[^{}]*\}", r"{\1}", path).rsplit("/", 1)[-1]


def label(rule: str, files: set[str]) -> str:
    """The rule's name in bold and its files, a line for each type of file."""
    lines = [f"<b>{rule}</b>"]
    for suffix, group in groupby(
        sorted(files, key=lambda name: (Path(name).suffix, name)), lambda name: Path(name).suffix
    ):
        names = list(group)
        lines.append(", ".join(names) if len(names) <= LISTED else f"*{suffix}")
    return "<br/>".join(lines)


# The alternation


def alternation_diagram() -> str:
    """The first epochs of AlterRec's schedule as a Mermaid sequence diagram: who trains, and who gives the negatives."""
    config = AlterRecConfig(m_gap=2, m_random=4)
    lines = [
        "sequenceDiagram",
        "    participant catalogue as Catalogue",
        "    participant id as ID network",
        "    participant text as Text network",
    ]
    for first, last, network, mode in turns(config):
        lines += [
            f"    activate {network}",
            f"    Note over {network}: epochs {first} to {last}, mode {mode}",
            f"    catalogue ->> {network}: uniform negatives",
        ]
        if mode == "hard":
            lines.append(f"    {other(network)} ->> {network}: hard negatives, ranks k1 + 1 to k2 (frozen)")
        lines.append(f"    deactivate {network}")
    return "\n".join(lines)


def turns(config: AlterRecConfig) -> Iterator[tuple[int, int, str, str]]:
    """Runs of epochs with one network and one mode: first epoch, last epoch, network, mode."""
    epochs = enumerate(islice(alternation(config), EPOCHS), 1)
    for (network, mode), group in groupby(epochs, lambda pair: (pair[1].network, pair[1].mode)):
        numbers = [number for number, _ in group]
        yield numbers[0], numbers[-1], network, mode


if __name__ == "__main__":
    main()
