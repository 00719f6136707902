"""What there is: models, sources and text encoders, one file each, known by the file's name. Nothing here imports torch.

A model's file declares `version`, `family`, `label`, a `Config` and `fit(task)`, and where they differ from the
defaults `uses_text`, `requires`, `deterministic`. A .smk file among the models is a model that another program trains.
"""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from alterrec.errors import UserError, nearest

PACKAGE = Path(__file__).parent
INSTALLED = PACKAGE / "baselines"
BASELINES = INSTALLED if INSTALLED.is_dir() else PACKAGE.parent / "baselines"
"""The suite's own models: inside the package where it is installed, beside it in a checkout."""


@dataclass(frozen=True)
class Model:
    """What a model's file says of itself; `module` is None for a model that a .smk file brings."""

    name: str
    path: Path
    module: ModuleType | None

    def fact(self, name: str, default):
        return getattr(self.module, name, default)

    @property
    def family(self) -> str:
        return self.fact("family", "external")

    @property
    def external(self) -> bool:
        return self.module is None

    @property
    def requires(self) -> tuple[str, ...]:
        return self.fact("requires", ())

    @property
    def uses_text(self) -> bool:
        return self.fact("uses_text", False)

    @property
    def deterministic(self) -> bool:
        return self.fact("deterministic", False)


def load_file(path: Path) -> ModuleType:
    """Import a file by its path, once."""
    return _load_file(path.resolve())


@cache
def _load_file(path: Path) -> ModuleType:
    name = f"alterrec_file_{path.stem}_{hashlib.sha1(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def sibling(file: str, name: str) -> ModuleType:
    """The model file `name` beside `file`: for a baseline that is another one with other settings."""
    return load_file(Path(file).with_name(f"{name}.py"))


def models(folders: Iterable[str | Path] = ()) -> dict[str, Model]:
    """All models of baselines/ and of further `folders`, by name. UserError for a bad file or a name taken twice."""
    found: dict[str, Model] = {}
    for folder in (BASELINES, *map(Path, folders)):
        if not folder.is_dir():
            raise UserError(f"baselines: there is no folder {folder}")
        for path in sorted(folder.iterdir()):
            if path.suffix not in (".py", ".smk") or path.stem.startswith("_"):
                continue
            if path.stem in found:
                raise UserError(
                    f"{path}: a model named {path.stem!r} already exists in {found[path.stem].path}"
                )
            found[path.stem] = _model(path)
    return found


def _model(path: Path) -> Model:
    if path.suffix == ".smk":
        return Model(path.stem, path, None)
    module = load_file(path)
    missing = [name for name in ("version", "Config", "fit") if not hasattr(module, name)]
    if missing:
        raise UserError(f"{path}: a baseline must define {', '.join(missing)} (see CONTRIBUTING.md)")
    return Model(path.stem, path, module)


def model(name: str, folders: Iterable[str | Path] = ()) -> Model:
    return _pick("model", name, models(folders))


def sources() -> list[str]:
    return list(_files("sources"))


def source(name: str) -> ModuleType:
    return load_file(_pick("source", name, _files("sources")))


def encoder(name: str, defined: Iterable[str] = ()) -> ModuleType:
    """A file of alterrec/encoders/; `defined` are further names to suggest where there is none."""
    return load_file(_pick("encoder", name, _files("encoders"), defined))


def _files(folder: str) -> dict[str, Path]:
    paths = (PACKAGE / folder).glob("*.py")
    return {path.stem: path for path in sorted(paths) if not path.stem.startswith("_")}


def _pick(kind: str, name: str, known: dict, defined: Iterable[str] = ()):
    if name not in known:
        known = {*known, *defined}
        raise UserError(f"unknown {kind} {name!r}{nearest(name, known)}; known: {', '.join(sorted(known))}")
    return known[name]


RESULT_ROOMS = ("engine", "method", "ranking")
"""The packages whose code decides what a run writes."""


def model_code_hash(model: Model) -> str:
    """Hash of the model's own file and of every file that trains and ranks it."""
    rooms = [path for room in RESULT_ROOMS for path in (PACKAGE / room).glob("*.py")]
    return code_hash(model.path, *rooms)


def code_hash(*paths: Path) -> str:
    """sha256 of the files' syntax trees: comments, docstrings and white space do not count."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        text = path.read_text(encoding="utf-8")
        digest.update((ast.dump(undocumented(text)) if path.suffix == ".py" else text).encode())
    return digest.hexdigest()


def undocumented(source: str) -> ast.Module:
    """The syntax tree of a Python file without the strings that stand alone as statements."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(getattr(node, "body", None), list):
            alone = [isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant) for n in node.body]
            node.body = [n for n, string in zip(node.body, alone, strict=True) if not string]
    return tree
