"""The plan of the house: every package imports in one direction only, and every idea has a file name of its own."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRONT_DOOR = {"errors", "files", "html", "registry"}
# A room may import the front door and the rooms that it names here. `study` is settings and names only.
ROOMS = {
    "code_hash": set(),
    "study": set(),
    "readers": set(),
    "sources": {"readers"},
    "encoders": {"readers"},
    "data": {"sources", "readers"},
    "kernels": {"study"},
    "engine": {"kernels", "data", "study"},
    "ranking": {"engine", "data", "study"},
    "method": {"ranking", "engine", "kernels", "study"},
    "sequence_models": {"method", "engine", "study"},
    "inference": {"ranking", "study"},
    "analysis": {"inference", "ranking", "data", "study"},
    "execute": {"ranking", "engine", "kernels", "data", "study"},
    "bench": {"execute", "method", "ranking", "engine", "data", "study"} | {"sources", "readers"},
    "recommend": {"execute", "engine", "data", "study"},
    "gpu_places": set(),
    "descriptions": {"study"},
    "progress": {"descriptions", "study"},
    "runner": {"execute", "gpu_places", "kernels", "data", "study"},
    "__main__": {
        "descriptions",
        "recommend",
        "progress",
        "runner",
        "bench",
        "gpu_places",
        "analysis",
        "inference",
        "execute",
        "ranking",
        "data",
        "kernels",
        "study",
    },
    "baselines": {"sequence_models", "method", "engine", "study"},
    "paper_figures": set(),
}
LIBRARIES_NOT_FOR = {
    "study": {"torch"},
    "registry": {"torch", "pandas", "numpy"},
    "errors": {"torch", "pandas"},
}


def files() -> dict[Path, str]:
    """Every file of the project's own code, and the room that it belongs to."""
    found = {}
    for path in [
        *(ROOT / "alterrec").rglob("*.py"),
        *(ROOT / "baselines").glob("*.py"),
        *(ROOT / "paper_figures").glob("*.py"),
    ]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[path] = parts[1] if parts[0] == "alterrec" else parts[0]
    return found


def imported(path: Path) -> set[str]:
    """The dotted names that a file imports, in functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where a name comes from"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_the_rooms_below_it(path):
    room = files()[path]
    if room == "__init__":
        return
    others = {name.split(".")[1] for name in imported(path) if name.startswith("alterrec.")} - {room}
    if room in FRONT_DOOR:
        allowed = {"errors", "files"} | ({"code_hash"} if room == "registry" else set())
    elif room == "paper_figures":
        allowed = FRONT_DOOR - {"registry"}
    else:
        allowed = FRONT_DOOR | ROOMS[room]
    assert others <= allowed, f"{room} must not import {', '.join(sorted(others - allowed))}"


def test_the_rooms_form_no_circle():
    order = []
    while len(order) < len(ROOMS):
        free = [room for room in ROOMS if room not in order and ROOMS[room] <= set(order)]
        assert free, f"a circle among {set(ROOMS) - set(order)}"
        order += free


@pytest.mark.parametrize("room", LIBRARIES_NOT_FOR)
def test_light_rooms_import_no_heavy_library(room):
    """The workflow reads settings and names at every start: importing torch there would cost seconds."""
    for path in (path for path, own in files().items() if own == room):
        libraries = {name.split(".")[0] for name in imported(path)}
        assert not libraries & LIBRARIES_NOT_FOR[room], path


def test_the_path_of_a_run_is_written_in_one_file():
    code = [*(ROOT / "alterrec").rglob("*.py"), *(ROOT / "workflow").rglob("*.smk")]
    assert [path.stem for path in code if "seed-{" in path.read_text(encoding="utf-8")] == ["run_paths"]


def test_no_two_files_share_a_name():
    code = [path for path in ROOT.rglob("*") if path.suffix in (".py", ".smk")]
    parts = {path: path.relative_to(ROOT).parts for path in code}
    hidden = {path for path in code if any(part.startswith(".") for part in parts[path])}
    own = [path for path in code if path not in hidden and parts[path][0] not in ("build", "results")]
    names = Counter(path.stem.lstrip("_") for path in own if path.stem != "__init__")
    assert [name for name, count in names.items() if count > 1] == []


def test_no_room_has_many_files():
    of_package = [
        path for path in files() if path.parent.parent.name == "alterrec" and path.stem != "__init__"
    ]
    rooms = Counter(path.parent.name for path in of_package)
    assert max(rooms.values()) <= 13, "a package of more files holds more than one idea"
