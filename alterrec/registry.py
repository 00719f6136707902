"""The registered models, data sources and text encoders: one file each, known by the file's name.

This module does not import torch. A model's file declares `version`, `Config` and `fit(task)`, and where they differ
from the defaults of `Model` also `family`, `label`, `uses_text`, `requires`, `networks`, `variant_of`, `space`,
`tuned_in_one_rung` and `deterministic`. A .smk file is a model that another program trains.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from alterrec.code_hash import code_hash
from alterrec.errors import UserError, nearest

PACKAGE = Path(__file__).parent
IN_PACKAGE = PACKAGE / "baselines"
BASELINES = IN_PACKAGE if IN_PACKAGE.is_dir() else PACKAGE.parent / "baselines"
"""The folder of the suite's own models: inside the package after `pip install .`, beside it in a checkout."""

RESULT_PACKAGES = ("engine", "kernels", "method", "ranking", "sequence_models")
"""The packages whose code decides what a run writes."""


@dataclass(frozen=True)
class Model:
    """What a model's file declares. `module` is None for a model that another program trains."""

    name: str
    path: Path
    module: ModuleType | None

    def _declared(self, name: str, default):
        return getattr(self.module, name, default)

    @property
    def version(self) -> int:
        """A change of it makes all runs of the model stale."""
        return self._declared("version", 0)

    @property
    def family(self) -> str:
        return self._declared("family", "external")

    @property
    def label(self) -> str:
        """The model's name in tables and figures."""
        return self._declared("label", self.name)

    @property
    def external(self) -> bool:
        return self.module is None

    @property
    def requires(self) -> tuple[str, ...]:
        """The models whose runs this one reads."""
        return self._declared("requires", ())

    @property
    def networks(self) -> tuple[str, ...]:
        """The models that are its ID and its text network trained alone; where it is not tuned, it has their settings."""
        return self._declared("networks", ())

    @property
    def variant_of(self) -> str | None:
        """The model that this one changes in one idea."""
        return self._declared("variant_of", None)

    @property
    def uses_text(self) -> bool:
        return self._declared("uses_text", False)

    @property
    def space(self) -> dict:
        """The settings of its own that tuning varies (study/search_space.py)."""
        return self._declared("space", {})

    @property
    def tuned_in_one_rung(self) -> bool:
        """Whether tuning compares whole trainings only."""
        return self._declared("tuned_in_one_rung", False)

    @property
    def trains_a_network(self) -> bool:
        return not self.external and "learning_rate" in self.module.Config.model_fields

    @property
    def neural(self) -> bool:
        """Whether the model trains a network or reads the networks of other runs. It is then faster on a GPU."""
        return bool(self.requires) or self.trains_a_network

    @property
    def deterministic(self) -> bool:
        """Whether the seed makes no difference."""
        return self._declared("deterministic", False)


def load_file(path: Path) -> ModuleType:
    """The module of a Python file, imported by its path, once."""
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
    """The model file `name` in the folder of `file`, for a baseline that is another one with other settings."""
    return load_file(Path(file).with_name(f"{name}.py"))


def models(folders: Iterable[str | Path] = ()) -> dict[str, Model]:
    """Name -> model, for all files of baselines/ and of further `folders`.

    UserError for a folder that does not exist, a file that lacks a declaration, or a name that two files have.
    """
    return {name: _model(path) for name, path in _model_files(folders).items()}


def _model_files(folders: Iterable[str | Path]) -> dict[str, Path]:
    """Name -> file of every model. UserError for a folder that does not exist or a name that two files have."""
    found: dict[str, Path] = {}
    for folder in (BASELINES, *map(Path, folders)):
        if not folder.is_dir():
            raise UserError(f"baselines: there is no folder {folder}")
        for path in sorted(folder.iterdir()):
            if path.suffix not in (".py", ".smk") or path.stem.startswith("_"):
                continue
            if path.stem in found:
                raise UserError(
                    f"{path}: a model named {path.stem!r} already exists in {found[path.stem]}: rename one of them"
                )
            found[path.stem] = path
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
    """The model `name`; no other model's file is imported. UserError with the nearest known name if there is none."""
    return _model(_pick("model", name, _model_files(folders)))


def sources() -> list[str]:
    """The names of all data sources."""
    return list(_files("sources"))


def source(name: str) -> ModuleType:
    """The data source `name`. UserError with the nearest known name if there is none."""
    return load_file(_pick("source", name, _files("sources")))


def encoders() -> list[str]:
    """The names of all text encoders."""
    return list(_files("encoders"))


def encoder(name: str, defined: Iterable[str] = ()) -> ModuleType:
    """The text encoder `name`. UserError with the nearest known name if there is none; `defined` adds names to it."""
    return load_file(_pick("encoder", name, _files("encoders"), defined))


KINDS = {"models": models, "sources": sources, "encoders": encoders}
"""Kind -> the function that returns the names of all that is registered."""


def _files(folder: str) -> dict[str, Path]:
    paths = (PACKAGE / folder).glob("*.py")
    return {path.stem: path for path in sorted(paths) if not path.stem.startswith("_")}


def _pick(kind: str, name: str, known: dict, defined: Iterable[str] = ()):
    if name not in known:
        known = {*known, *defined}
        raise UserError(f"unknown {kind} {name!r}{nearest(name, known)}; known: {', '.join(sorted(known))}")
    return known[name]


def model_code_hash(model: Model) -> str:
    """Hash of the model's own file and of all code that trains and ranks it."""
    shared = [path for package in RESULT_PACKAGES for path in (PACKAGE / package).glob("*.py")]
    return code_hash(model.path, *shared)
