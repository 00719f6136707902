"""What the hash of code depends on, and that every version of Python gives the same."""

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

from alterrec import code_hash as module
from alterrec.code_hash import as_tuples, code_hash

SOURCE = '''"""A docstring."""

from dataclasses import dataclass


@dataclass
class Point:
    """Another."""

    x: int = 0

    def shown(self, width, *rest, **options):
        # a comment
        if not rest:
            return None
        "🫨 is newer than some tables of characters".strip()
        return f"{self.x:{width}}" f" of {rest[0]!r:>8}" + ""
'''
HASH = "13269a82ee3f20441cb0e785a0c141effcfeae95ed351fd3f723c1f659c31efa"
OTHERS = ("3.11", "3.12", "3.13", "3.14")
PROGRAM = """
import runpy, sys
from pathlib import Path
print(runpy.run_path(sys.argv[1])["code_hash"](*map(Path, sys.argv[2:])))
"""


@pytest.fixture
def written(tmp_path):
    def write(source: str) -> Path:
        path = tmp_path / "source.py"
        path.write_text(source, encoding="utf-8")
        return path

    return write


def test_the_hash_of_a_source_does_not_change_with_the_version_of_python(written):
    assert code_hash(written(SOURCE)) == HASH


@pytest.mark.parametrize("version", OTHERS)
def test_another_python_gives_the_same_hash_of_all_code(version, pytestconfig):
    python = shutil.which(f"python{version}")
    if not python or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"there is no Python {version} here")
    root = pytestconfig.rootpath
    paths = [*(root / "alterrec").rglob("*.py"), *(root / "baselines").glob("*.py")]
    command = [python, "-c", PROGRAM, module.__file__, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == code_hash(*paths)


def test_what_only_some_versions_of_python_have_does_not_count():
    name, empty = ast.Name("x", ast.Load()), ast.Constant("")
    assert as_tuples(ast.JoinedStr([name, empty])) == as_tuples(ast.JoinedStr([name]))
    assert as_tuples(ast.List([name, empty])) != as_tuples(ast.List([name]))
    with_new_fields = ast.Name("x", ast.Load())
    with_new_fields._fields = (*ast.Name._fields, "type_params", "other")
    with_new_fields.type_params, with_new_fields.other = [], None
    assert as_tuples(with_new_fields) == as_tuples(name)
    assert (
        len(
            {
                str(as_tuples(node))
                for node in (ast.Constant(None), ast.Return(), ast.Return(ast.Constant(None)))
            }
        )
        == 3
    )


def test_comments_docstrings_and_white_space_do_not_count(written):
    shorter = (
        SOURCE.replace("        # a comment\n", "").replace('"""Another."""', "").replace("    x:", "    x :")
    )
    assert len(shorter) < len(SOURCE) - 20
    before = code_hash(written(SOURCE))
    assert code_hash(written(shorter + "\n\n")) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [("x: int = 0", "x: int = 1"), ("return None", "return"), ('+ ""', ""), ("!r", "!s"), ("*rest", "rest")],
)
def test_what_the_code_does_counts(written, old, new):
    before = code_hash(written(SOURCE))
    changed = SOURCE.replace(old, new)
    assert changed != SOURCE
    assert code_hash(written(changed)) != before
