"""The hash of code, by which a stored run tells whether it was made by today's.

It is the same in all versions of Python, so a run from another machine counts as a run of the same code.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path


def code_hash(*paths: Path) -> str:
    """sha256 of the files' syntax trees: comments, docstrings, white space and the files' folders do not count."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.name):
        digest.update(_content(path, path.stat().st_mtime_ns))
    return digest.hexdigest()


@cache
def _content(path: Path, changed_at: int) -> bytes:
    """What counts of a file. It is read again once the file has changed."""
    text = path.read_text(encoding="utf-8")
    return (ascii(as_tuples(syntax_without_docstrings(text))) if path.suffix == ".py" else text).encode()


def as_tuples(node: object) -> object:
    """A syntax tree as nested tuples that are the same in all versions of Python.

    Fields that are empty or None are left out, and so are the empty texts in f-strings. `ast.dump` is no substitute: newer
    versions have fields that older ones lack, and leave other fields out.
    """
    if isinstance(node, ast.JoinedStr):
        # Python 3.12 ends a format such as {x:{width}} with an empty text.
        node = ast.JoinedStr([part for part in node.values if getattr(part, "value", None) != ""])
    if isinstance(node, ast.AST):
        fields = (
            (name, as_tuples(value)) for name, value in ast.iter_fields(node) if value not in (None, [])
        )
        return type(node).__name__, *fields
    return [as_tuples(part) for part in node] if isinstance(node, list) else node


def syntax_without_docstrings(source: str) -> ast.Module:
    """The syntax tree of Python source without constants that stand alone as statements, such as docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(getattr(node, "body", None), list):
            node.body = [statement for statement in node.body if not _is_lone_constant(statement)]
    return tree


def _is_lone_constant(statement: ast.AST) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
