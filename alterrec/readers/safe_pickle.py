"""Pickles read as data: plain containers, numbers, text, numpy arrays and torch tensors. Nothing that a file names is run.

A pickle is a program: it names functions and has them called. Here it gets only what the exact names of `ADMITTED` stand
for, plain types and functions of this file that take data and check it, and only the opcodes that build those. So all
that can ever be on the stack is data, and no size that a file claims fills memory with more than the file holds.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from alterrec.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import torch

PLAIN = (bool, int, float, complex, str, bytes, tuple, list, set, frozenset, dict)
DTYPE = re.compile(r"[biufcSUO]\d{1,9}")
REFUSED = (
    pickle.PERSID,
    pickle.BINPERSID,
    pickle.EXT1,
    pickle.EXT2,
    pickle.EXT4,
    pickle.OBJ,
    pickle.NEWOBJ,
    pickle.NEWOBJ_EX,
    pickle.NEXT_BUFFER,
    pickle.READONLY_BUFFER,
)


def read_pickle(file: BinaryIO, name: str) -> Any:
    """The value pickled in `file`, by any protocol. UserError, with `name`, for one that is broken or asks for more.

    Arrays are of numbers or strings and may be read-only; tensors come to the CPU and without gradients.
    """
    try:
        return _Unpickler(_Whole(file)).load()
    except _Refused as error:
        raise UserError(
            f"{name} is refused: it {error}, which plain data never does, so it may be made to do harm: "
            "get it again from its publisher"
        ) from None
    except Exception as error:  # a broken pickle may raise any
        reason = f"{type(error).__name__}: {str(error)[:200]}".removesuffix(": ")
        raise UserError(
            f"{name} is no pickle, broken or cut short ({reason}): get it again from its publisher"
        ) from error


class _Whole:
    """A file that gives what it is asked for or an error, never less."""

    def __init__(self, file: BinaryIO):
        self.file = file

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        if len(data) < size:
            raise EOFError(f"{len(data)} of {size} bytes are left")
        return data

    def readline(self) -> bytes:
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise EOFError("a line without an end")
        return line


class _Refused(Exception):
    """What a pickle does that data do not."""


def _require(right: bool, otherwise: str) -> None:
    if not right:
        raise _Refused(otherwise)


def _asks(name: str, where: str = "") -> _Refused:
    return _Refused(f"asks for {name[:200]!r}{where}")


def _hashed(values: list) -> list:
    """Keys of a dict or members of a set. Hashing what is nested very deep would crash Python."""
    inner = (part for value in values if isinstance(value, tuple | frozenset) for part in value)
    _require(not any(isinstance(part, tuple | frozenset) for part in inner), "has a nested key")
    return values


def _pairs(items: list) -> Iterator[tuple]:
    return zip(_hashed(items[::2]), items[1::2], strict=True)


# What the admitted names stand for. The arguments are whatever a file gives.


def _set(values: list) -> set:
    return set(_hashed(values))


def _frozenset(values: list) -> frozenset:
    return frozenset(_hashed(values))


def _defaultdict(factory: type | None = None) -> defaultdict:
    _require(factory is None or factory in PLAIN, "has a defaultdict of other values than plain ones")
    return defaultdict(factory)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes, as protocols before 3 have them."""
    _require(encoding == "latin1", "encodes text otherwise than pickle")
    return str.encode(text, "latin1")


def _dtype(kind: str, align: bool = False, copy: bool = True) -> np.dtype:
    import numpy as np

    _require(DTYPE.fullmatch(kind) is not None, f"asks for numpy values of type {kind[:100]!r}")
    return np.dtype(kind, copy=True)  # its own, so that a byte order set later changes no other


def _array(
    data: bytes, dtype: np.dtype, shape: tuple, order: str = "C", axes: tuple | None = None
) -> np.ndarray:
    """An array of `data`, which must fill it."""
    import numpy as np

    _require(isinstance(dtype, np.dtype) and not dtype.hasobject, "has a numpy array of Python objects")
    _require(isinstance(data, bytes | bytearray), "has a numpy array of something else than bytes")
    array = np.frombuffer(data, dtype)
    return array.reshape(shape).transpose(axes) if order == "K" else array.reshape(shape, order=order)


def _scalar(dtype: np.dtype, data: bytes) -> np.generic:
    return _array(data, dtype, ())[()]


def _reconstruct(kind: str, shape: tuple, code: bytes) -> np.ndarray:
    """The empty array that the opcode BUILD fills."""
    import numpy as np

    _require((kind, shape, code) == ("ndarray", (0,), b"b"), "makes another array than numpy does")
    return np.empty(0, "b")


def _storage(blob: bytes) -> torch.Tensor:
    """The numbers of a tensor [n], which torch nests as a file of its own."""
    import torch

    if zipfile.is_zipfile(io.BytesIO(blob)):
        unpacked = sum(member.file_size for member in zipfile.ZipFile(io.BytesIO(blob)).infolist())
        _require(unpacked <= len(blob), "has a packed torch storage")
    try:
        storage = torch.load(io.BytesIO(blob), map_location="cpu", weights_only=True)
    except Exception as error:  # whose text may advise weights_only=False
        if asked := re.search(r"GLOBAL (\S+)", str(error)):
            raise _asks(asked[1], " in a torch storage") from None
        raise ValueError("a torch storage that cannot be read") from None
    numbers = isinstance(storage, torch.storage.TypedStorage)
    _require(numbers, "has something else than numbers in a torch storage")
    return torch.empty(0, dtype=storage.dtype).set_(storage)


def _tensor(
    storage: torch.Tensor, offset: int, size: tuple, stride: tuple, gradient: bool, hooks: dict
) -> torch.Tensor:
    import torch

    _require(isinstance(storage, torch.Tensor) and not hooks, "makes a tensor of something else than numbers")
    _require(all(type(length) is int for length in size), "makes a tensor without a shape")
    _require(math.prod(size) <= storage.numel(), "makes a tensor of more numbers than it brings")
    return storage.as_strided(size, stride, offset)


ADMITTED = {
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in PLAIN},
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): _defaultdict,
    ("_codecs", "encode"): _encode,
    ("numpy", "ndarray"): "ndarray",  # an argument of _reconstruct
    ("numpy", "dtype"): _dtype,
    **{
        (f"numpy.{core}.{name}", function): made
        for core in ("core", "_core")
        for name, function, made in (
            ("multiarray", "_reconstruct", _reconstruct),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _array),
        )
    },
    ("torch.storage", "_load_from_bytes"): _storage,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
}
# What may be called, and what is called in its place: plain types as far as a protocol has no opcode for them.
CALLS: dict[Any, Callable] = {
    set: _set,
    frozenset: _frozenset,
    complex: complex,
    bytes: lambda: b"",
    OrderedDict: lambda: OrderedDict(),
    **{made: made for made in ADMITTED.values() if not isinstance(made, type | str)},
}


def _refusal(opcode: bytes) -> Callable:
    name = pickletools.code2op[opcode.decode("latin-1")].name

    def load(unpickler: _Unpickler) -> None:
        raise _Refused(f"uses the opcode {name}")

    return load


class _Unpickler(pickle._Unpickler):
    """The one in Python, as that in C takes no other handling of an opcode."""

    dispatch = pickle._Unpickler.dispatch | {opcode[0]: _refusal(opcode) for opcode in REFUSED}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise _asks(f"{module}.{name}")
        return ADMITTED[module, name]

    def load_inst(self) -> None:
        module, name = (self.readline()[:-1].decode() for _ in range(2))
        raise _asks(f"{module}.{name}")

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        function = CALLS.get(self.stack[-1])
        _require(function is not None and isinstance(arguments, tuple), "calls what is no function")
        self.stack[-1] = function(*arguments)

    def load_build(self) -> None:
        import numpy as np

        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, np.dtype):
            version, _, *others = target.__reduce__()[2]
            known = (*state[:1], *state[2:]) == (version, *others) and state[1] in ("<", ">", "|")
            _require(known, "alters more of a numpy type than its byte order")
            target.__setstate__((version, state[1], *others))
        else:
            _require(isinstance(target, np.ndarray), f"sets attributes of a {type(target).__name__}")
            _, shape, dtype, fortran, data = state
            shape = _array(data, dtype, shape).shape
            target.__setstate__((1, shape, dtype, bool(fortran), bytes(data)))

    def load_append(self) -> None:
        item = self.stack.pop()
        self._top(list).append(item)

    def load_appends(self) -> None:
        items = self.pop_mark()
        self._top(list).extend(items)

    def load_setitem(self) -> None:
        pair = [self.stack.pop() for _ in range(2)][::-1]
        self._top(dict).update(_pairs(pair))

    def load_setitems(self) -> None:
        items = self.pop_mark()
        self._top(dict).update(_pairs(items))

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append(dict(_pairs(items)))

    def load_additems(self) -> None:
        items = self.pop_mark()
        self._top(set).update(_hashed(items))

    def load_frozenset(self) -> None:
        items = self.pop_mark()
        self.append(_frozenset(items))

    def load_bytearray8(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(size)))  # pickle's own makes room for `size` before it reads

    def _top(self, kind: type) -> Any:
        """The container that takes what comes: arrays and tensors take items too, and may compute with them."""
        top = self.stack[-1]
        _require(isinstance(top, kind), f"fills a {type(top).__name__} like a {kind.__name__}")
        return top

    dispatch |= {
        pickle.INST[0]: load_inst,
        pickle.REDUCE[0]: load_reduce,
        pickle.BUILD[0]: load_build,
        pickle.APPEND[0]: load_append,
        pickle.APPENDS[0]: load_appends,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        pickle.ADDITEMS[0]: load_additems,
        pickle.FROZENSET[0]: load_frozenset,
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }
