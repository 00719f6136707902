"""Every message on the page of troubles is one that the code can print."""

import ast
import re
from pathlib import Path

import pytest
import snakemake.exceptions

from tests.workflow.test_workflow import snakemake as run_snakemake

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^\| `([^`]+)` \|", PAGE, re.M)


UNREADABLE = {  # what makes a config file that Snakemake cannot read
    "missing": lambda path: None,
    "folder": Path.mkdir,
    "empty": Path.touch,
    "list": lambda path: path.write_text("- produce\n"),
    "broken": lambda path: path.write_text("name: [\n"),
    "not UTF-8": lambda path: path.write_bytes(b"name: \xff\n"),
}


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


@pytest.fixture(scope="module")
def refusals(tmp_path_factory) -> dict[str, str]:
    """The last line that Snakemake prints about each config file of UNREADABLE."""

    def refusal(make) -> str:
        folder = tmp_path_factory.mktemp("study")
        make(folder / "study.yaml")
        done = run_snakemake(folder, "--dry-run", "all", "--configfile", "study.yaml", check=False)
        assert done.returncode != 0
        return done.stdout.strip().splitlines()[-1]

    return {name: refusal(make) for name, make in UNREADABLE.items()}


def says(message: str, line: str) -> bool:
    """Whether a printed line is a message of the page."""
    return re.fullmatch(re.escape(message).replace("…", ".*"), line) is not None


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_on_the_page_is_in_the_code(printed, refusals, message):
    assert message in printed or any(says(message, line) for line in refusals.values())


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_snakemake_says_of_a_config_file_that_it_cannot_read_is_on_the_page(refusals, name):
    assert any(says(message, refusals[name]) for message in MESSAGES), refusals[name]


def test_the_page_has_messages():
    assert len(MESSAGES) > 10
