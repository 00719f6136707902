"""Every message on the page of troubles is one that the code can print."""

import ast
import re
from pathlib import Path

import pytest
import snakemake.exceptions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^\| `([^`]+)` \|", PAGE, re.M)


def text_of(node: ast.AST) -> str:
    """A string of Python source, with … for each value that is put into it."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "…"


@pytest.fixture(scope="module")
def printed() -> str:
    """All strings of the code and of Snakemake's errors, with … for each value that is put into them."""
    files = [*(ROOT / "alterrec").rglob("*.py"), Path(snakemake.exceptions.__file__)]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    texts = [text_of(node) for node in nodes if isinstance(node, (ast.JoinedStr, ast.Constant))]
    return "\n".join(re.sub("%[sd]", "…", text) for text in texts)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_on_the_page_is_in_the_code(printed, message):
    assert message in printed


def test_the_page_has_messages():
    assert len(MESSAGES) > 10
