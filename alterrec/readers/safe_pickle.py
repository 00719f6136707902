"""Read pickles as data: plain containers, numbers, text, numpy arrays and torch tensors. No code of a file is executed.

A pickle is a program: it names functions and calls them. This reader knows only the exact names in `ALLOWED`. They
stand for plain types, or for functions of this module that take data and check it. The reader also rejects every opcode
that could build other objects, so the stack can hold data only. A file cannot make the reader allocate much more memory
than the file holds, whatever sizes it states.
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
REJECTED_OPCODES = (
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
    """The value pickled in `file`, by any protocol. UserError, with `name`, if it is broken or more than data.

    Arrays hold numbers or strings and may be read-only. Tensors are on the CPU and have no gradients.
    """
    try:
        return _Unpickler(_CompleteReader(file)).load()
    except _Rejected as error:
        raise UserError(
            f"{name} is rejected: it {error}, which plain data never does, so it may be malicious: "
            "download it from its publisher again"
        ) from None
    except Exception as error:  # a broken pickle may raise any exception
        reason = f"{type(error).__name__}: {str(error)[:200]}".removesuffix(": ")
        raise UserError(
            f"{name} is broken, truncated or not a pickle ({reason}): download it from its publisher again"
        ) from error


class _CompleteReader:
    """A file whose read methods return everything that was asked for or raise EOFError."""

    def __init__(self, file: BinaryIO):
        self.file = file

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        if len(data) < size:
            raise EOFError(f"only {len(data)} of {size} bytes are left")
        return data

    def readline(self) -> bytes:
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise EOFError("a line without an end")
        return line


class _Rejected(Exception):
    """The pickle does something that data never need. The text completes the sentence "it ..."."""


def _require(condition: bool, violation: str) -> None:
    if not condition:
        raise _Rejected(violation)


def _name_error(name: str, where: str = "") -> _Rejected:
    return _Rejected(f"asks for {name[:200]!r}{where}")


def _checked_keys(values: list) -> list:
    """The keys of a dict or members of a set, not nested: hashing a very deeply nested value would crash Python."""
    inner = (part for value in values if isinstance(value, tuple | frozenset) for part in value)
    _require(not any(isinstance(part, tuple | frozenset) for part in inner), "has a nested key")
    return values


def _pairs(items: list) -> Iterator[tuple]:
    return zip(_checked_keys(items[::2]), items[1::2], strict=True)


# The functions that replace the allowed names. Their arguments come from the file and can be anything.


def _set(values: list) -> set:
    return set(_checked_keys(values))


def _frozenset(values: list) -> frozenset:
    return frozenset(_checked_keys(values))


def _defaultdict(factory: type | None = None) -> defaultdict:
    _require(factory is None or factory in PLAIN, "has a defaultdict whose factory is not a plain type")
    return defaultdict(factory)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes, in the form of the protocols before 3."""
    _require(encoding == "latin1", "encodes text differently from pickle")
    return str.encode(text, "latin1")


def _dtype(kind: str, align: bool = False, copy: bool = True) -> np.dtype:
    import numpy as np

    _require(DTYPE.fullmatch(kind) is not None, f"asks for numpy values of type {kind[:100]!r}")
    return np.dtype(kind, copy=True)  # a copy, so that setting its byte order changes no other dtype


def _array(
    data: bytes, dtype: np.dtype, shape: tuple, order: str = "C", axes: tuple | None = None
) -> np.ndarray:
    """An array of `data`, which must have its exact size."""
    import numpy as np

    _require(isinstance(dtype, np.dtype) and not dtype.hasobject, "has a numpy array of Python objects")
    _require(isinstance(data, bytes | bytearray), "makes a numpy array of something other than bytes")
    array = np.frombuffer(data, dtype)
    return array.reshape(shape).transpose(axes) if order == "K" else array.reshape(shape, order=order)


def _scalar(dtype: np.dtype, data: bytes) -> np.generic:
    return _array(data, dtype, ())[()]


def _reconstruct(kind: str, shape: tuple, code: bytes) -> np.ndarray:
    """An empty array. The opcode BUILD fills it."""
    import numpy as np

    _require((kind, shape, code) == ("ndarray", (0,), b"b"), "makes an array in another way than numpy")
    return np.empty(0, "b")


def _storage(blob: bytes) -> torch.Tensor:
    """The numbers [n] of a tensor. torch stores them as a file within the file."""
    import torch

    if zipfile.is_zipfile(io.BytesIO(blob)):
        unpacked = sum(member.file_size for member in zipfile.ZipFile(io.BytesIO(blob)).infolist())
        _require(unpacked <= len(blob), "has a compressed torch storage")
    try:
        storage = torch.load(io.BytesIO(blob), map_location="cpu", weights_only=True)
    except Exception as error:  # do not pass on its text, which may advise weights_only=False
        if requested := re.search(r"GLOBAL (\S+)", str(error)):
            raise _name_error(requested[1], " in a torch storage") from None
        raise ValueError("a torch storage that cannot be read") from None
    is_numbers = isinstance(storage, torch.storage.TypedStorage)
    _require(is_numbers, "has something other than numbers in a torch storage")
    return torch.empty(0, dtype=storage.dtype).set_(storage)


def _tensor(
    storage: torch.Tensor, offset: int, size: tuple, stride: tuple, gradient: bool, hooks: dict
) -> torch.Tensor:
    import torch

    _require(
        isinstance(storage, torch.Tensor) and not hooks, "makes a tensor of something other than numbers"
    )
    _require(
        all(type(length) is int for length in size), "makes a tensor whose shape is not made of integers"
    )
    _require(math.prod(size) <= storage.numel(), "makes a tensor of more numbers than its storage holds")
    return storage.as_strided(size, stride, offset)


ALLOWED = {
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in PLAIN},
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): _defaultdict,
    ("_codecs", "encode"): _encode,
    ("numpy", "ndarray"): "ndarray",  # only an argument of _reconstruct
    ("numpy", "dtype"): _dtype,
    **{
        (f"numpy.{core}.{name}", function): replacement
        for core in ("core", "_core")
        for name, function, replacement in (
            ("multiarray", "_reconstruct", _reconstruct),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _array),
        )
    },
    ("torch.storage", "_load_from_bytes"): _storage,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
}
# What a file may call, and what is called instead. A plain type is here if some protocol has no opcode for it.
CALLS: dict[Any, Callable] = {
    set: _set,
    frozenset: _frozenset,
    complex: complex,
    bytes: lambda: b"",
    OrderedDict: lambda: OrderedDict(),
    **{function: function for function in ALLOWED.values() if not isinstance(function, type | str)},
}


def _rejection(opcode: bytes) -> Callable:
    name = pickletools.code2op[opcode.decode("latin-1")].name

    def load(unpickler: _Unpickler) -> None:
        raise _Rejected(f"uses the opcode {name}")

    return load


class _Unpickler(pickle._Unpickler):
    """Based on the unpickler written in Python, because the one in C cannot change how an opcode is handled."""

    dispatch = pickle._Unpickler.dispatch | {opcode[0]: _rejection(opcode) for opcode in REJECTED_OPCODES}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise _name_error(f"{module}.{name}")
        return ALLOWED[module, name]

    def load_inst(self) -> None:
        module, name = (self.readline()[:-1].decode() for _ in range(2))
        raise _name_error(f"{module}.{name}")

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        function = CALLS.get(self.stack[-1])
        _require(
            function is not None and isinstance(arguments, tuple),
            "calls something that is not an allowed function",
        )
        self.stack[-1] = function(*arguments)

    def load_build(self) -> None:
        import numpy as np

        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, np.dtype):
            version, _, *others = target.__reduce__()[2]
            only_order = (*state[:1], *state[2:]) == (version, *others) and state[1] in ("<", ">", "|")
            _require(only_order, "changes more of a numpy type than its byte order")
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
        self._top(set).update(_checked_keys(items))

    def load_frozenset(self) -> None:
        items = self.pop_mark()
        self.append(_frozenset(items))

    def load_bytearray8(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(size)))  # the original method allocates `size` bytes before it reads

    def _top(self, kind: type) -> Any:
        """The container on top of the stack, of type `kind`. Arrays and tensors would compute with new items."""
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
