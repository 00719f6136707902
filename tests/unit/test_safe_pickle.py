"""Pickles read as data: plain data round-trip; a hostile pickle is an error that names what it would execute."""

import io
import os
import pickle
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
import torch

from alterrec.errors import UserError
from alterrec.readers.safe_pickle import read_pickle

SYSTEM = f"{os.system.__module__}.system"  # posix.system
PROTOCOLS = [2, 3, 4, 5]


def read(blob: bytes):
    return read_pickle(io.BytesIO(blob), "archive.zip, train.pkl")


def load_error(blob: bytes) -> str:
    with pytest.raises(UserError) as error:
        read(blob)
    assert str(error.value).startswith("archive.zip, train.pkl is ")
    assert "weights_only" not in str(error.value)
    return str(error.value)


# Plain data

CONTAINERS = [
    {0: {0: [1, 2, 300, 70_000, 2**40]}, "ü": {"s": []}},
    [None, True, False, 1.5, -1, 2**100, "text\n", b"\x00\xff", b"", 1 + 2j],
    ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    [{1, 2}, frozenset({(1, "a")}), set(), frozenset()],
    OrderedDict(b=1, a=OrderedDict()),
    {(1, "a"): 1, None: 2, 1.5: 3},
]


@pytest.mark.parametrize("protocol", [0, 1, *PROTOCOLS])
@pytest.mark.parametrize("value", CONTAINERS, ids=repr)
def test_containers_round_trip(value, protocol):
    assert repr(read(pickle.dumps(value, protocol))) == repr(value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_defaultdicts_keep_their_factory_and_shared_lists_stay_shared(protocol):
    shared = [1]
    found = read(pickle.dumps(defaultdict(list, a=shared, b=shared), protocol))
    assert found == {"a": [1], "b": [1]}
    assert found["a"] is found["b"]
    assert found["new"] == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8", "c16", "i1", "u2", ">i4", "i8", "?", "U3", "S4"])
def test_arrays_and_scalars_round_trip(dtype, protocol):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    odd = [
        array,
        array[:, ::2],
        array[0, 0, 0:0],
        array.T,
        array.transpose(1, 0, 2),
        np.array(array[0, 1, 2]),
    ]
    for original in [*odd, array[1, 2, 3]]:
        blob = pickle.dumps(original, protocol)
        ours, theirs = read(blob), pickle.loads(blob)
        assert type(ours) is type(theirs)
        assert (ours.dtype, ours.strides) == (theirs.dtype, theirs.strides)
        assert np.array_equal(ours, original)


def test_pickles_of_numpy_1_and_2_give_the_same_array():
    for value in (np.arange(3.0), np.float32(2)):
        second = pickle.dumps(value, 2)
        first = second.replace(b"numpy._core.", b"numpy.core.")
        assert first != second
        assert np.array_equal(read(first), value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.float16, torch.bfloat16, torch.bool])
def test_tensors_round_trip(dtype, protocol):
    tensor = torch.arange(12).reshape(3, 4).to(dtype)
    for original in (tensor, tensor.T, tensor[:, ::2], tensor[1:], tensor[0, 0], tensor[:0]):
        found = read(pickle.dumps({"x": original}, protocol))["x"]
        assert (found.dtype, found.stride()) == (dtype, original.stride())
        assert torch.equal(found, original)


# Files that would execute code


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "marker"


class Call:
    """An object that is pickled as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def body(value) -> bytes:
    """Opcodes that push `value`."""
    return pickle.dumps(value, 2)[2:-1]


def call(module: str, name: str, *arguments: bytes) -> bytes:
    """Opcodes that call `name` of `module` with the values that the `arguments` push."""
    return f"c{module}\n{name}\n(".encode() + b"".join(arguments) + b"tR"


def whole(opcodes: bytes, protocol: int = 4) -> bytes:
    return b"\x80" + bytes([protocol]) + opcodes + b"."


def touch(marker) -> str:
    return f"touch {marker}"


def written(marker) -> str:
    return f"open({str(marker)!r}, 'w').close()"


def getattr_chain(marker) -> bytes:
    system = call("builtins", "getattr", b"cos\npath\n", body("os"))
    return whole(call("builtins", "getattr", system, body("system")) + body((touch(marker),)) + b"R")


def inst(marker) -> bytes:
    return whole(b"(" + body(touch(marker)) + b"ios\nsystem\n")


def build_state(marker) -> bytes:
    """An object whose __setstate__ is called with a function."""
    evil = b"cos\nsystem\n"
    partial = call("functools", "partial", evil)
    return whole(partial + b"(" + evil + body((touch(marker),)) + body({}) + b"Nt" + b"b)R")


def extension(marker) -> bytes:
    registered = call("copyreg", "add_extension", body("os"), body("system"), body(240))
    return whole(registered + b"0" + b"\x82\xf0" + body((touch(marker),)) + b"R")


ATTACKS = {
    "os.system": (lambda m: pickle.dumps(Call(os.system, touch(m))), SYSTEM),
    "os.system, protocol 0": (lambda m: pickle.dumps(Call(os.system, touch(m)), 0), SYSTEM),
    "os.system, protocol 2": (lambda m: pickle.dumps(Call(os.system, touch(m)), 2), SYSTEM),
    "inside data": (lambda m: pickle.dumps({1: {2: [3, Call(os.system, touch(m))]}}), SYSTEM),
    "eval": (lambda m: pickle.dumps(Call(eval, written(m))), "builtins.eval"),
    "eval, protocol 2": (lambda m: pickle.dumps(Call(eval, written(m)), 2), "__builtin__.eval"),
    "exec": (lambda m: pickle.dumps(Call(exec, written(m))), "builtins.exec"),
    "open": (lambda m: pickle.dumps(Call(open, str(m), "w")), "io.open"),
    "subprocess": (lambda m: pickle.dumps(Call(subprocess.call, ["touch", str(m)])), "subprocess.call"),
    "getattr chain": (getattr_chain, "builtins.getattr"),
    "copyreg and the registry of extensions": (extension, "copyreg.add_extension"),
    "INST": (inst, "os.system"),
    "BUILD": (build_state, "functools.partial"),
    "pickle in a pickle": (
        lambda m: pickle.dumps(Call(pickle.loads, ATTACKS["eval"][0](m))),
        "_pickle.loads",
    ),
    "dotted name": (lambda m: whole(call("random", "_os.system", body(touch(m)))), "random._os.system"),
    "dotted name in an admitted module": (
        lambda m: whole(call("torch.storage", "io.open", body(str(m)), body("w"))),
        "torch.storage.io.open",
    ),
    "dotted name on the stack": (
        lambda m: whole(body("torch.storage") + body("io.open") + b"\x93" + body((str(m), "w")) + b"R"),
        "torch.storage.io.open",
    ),
    "numpy array of objects": (
        lambda m: pickle.dumps(np.array([Call(os.system, touch(m))], dtype=object)),
        SYSTEM,
    ),
    "numpy subclass": (lambda m: pickle.dumps(Call(np.memmap, str(m), "u1", "w+", 0, (1,))), "numpy.memmap"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_code_is_named_in_the_error_and_not_executed(attack, marker):
    make, asked = ATTACKS[attack]
    assert f"asks for '{asked}'" in load_error(make(marker))
    assert not marker.exists()


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_pickle_module_would_execute_the_code(attack, marker, tmp_path):
    code = "import pickle, sys; pickle.load(sys.stdin.buffer)"
    blob = ATTACKS[attack][0](marker)
    subprocess.run([sys.executable, "-c", code], input=blob, cwd=tmp_path, capture_output=True)
    assert marker.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("nowhere", "nothing"),
        ("numpy", "_core.multiarray._reconstruct"),
        ("numpy.core", "multiarray._reconstruct"),
        ("collections", "OrderedDict.fromkeys"),
        ("collections", "Counter"),
        ("builtins", "type"),
        ("builtins", "bytearray"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch", "load"),
    ],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_name_that_is_not_exactly_an_allowed_one_is_an_error(module, name, protocol):
    assert f"asks for '{module}.{name}'" in load_error(whole(f"c{module}\n{name}\n".encode(), protocol))


# Misuse of allowed names


def storage(value, **how) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **how)
    return file.getvalue()


def numbers(count=6) -> bytes:
    return storage(torch.arange(float(count))._typed_storage(), _use_new_zipfile_serialization=False)


def load(blob: bytes) -> bytes:
    return call("torch.storage", "_load_from_bytes", pickle.dumps(blob, 4)[2:-1])


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_torch_storage_is_not_executed(zipped, marker):
    blob = storage([Call(os.system, touch(marker))], _use_new_zipfile_serialization=zipped)
    assert f"asks for '{SYSTEM}' in a torch storage" in load_error(whole(load(blob)))
    assert not marker.exists()
    torch.load(io.BytesIO(blob), weights_only=False)
    assert marker.exists()


def old_tar(marker) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            content = pickle.dumps(Call(os.system, touch(marker)), 2)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def old_pickle(marker) -> bytes:
    return pickle.dumps(Call(os.system, touch(marker)), 2)


@pytest.mark.filterwarnings("ignore:.*TorchScript archive")
def test_code_in_other_formats_of_torch_files_is_not_executed(marker):
    script = io.BytesIO()
    with zipfile.ZipFile(script, "w") as archive:
        archive.writestr("a/constants.pkl", old_pickle(marker))
        archive.writestr("a/data.pkl", old_pickle(marker))
    for blob in (old_tar(marker), old_pickle(marker), script.getvalue(), b"", b"text"):
        load_error(whole(load(blob)))
        assert not marker.exists()


def test_a_torch_storage_holds_numbers_only():
    for value in ([1], torch.ones(2), {"a": torch.ones(2)}):
        assert "something other than numbers" in load_error(whole(load(storage(value))))


def test_a_compressed_torch_storage_is_an_error():
    plain, packed = io.BytesIO(storage(torch.zeros(100_000)._typed_storage())), io.BytesIO()
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert "compressed torch storage" in load_error(whole(load(packed.getvalue())))


def tensor(count, offset, size, stride) -> bytes:
    arguments = [body(value) for value in (offset, size, stride, False, OrderedDict())]
    return whole(call("torch._utils", "_rebuild_tensor_v2", load(numbers(count)), *arguments))


@pytest.mark.parametrize(
    ("offset", "size", "stride", "says"),
    [
        (0, (2**40,), (1,), "more numbers than its storage holds"),
        (0, (2**40,), (0,), "more numbers than its storage holds"),
        (0, (7,), (1,), "more numbers than its storage holds"),
        (1, (6,), (1,), "out of bounds"),
        (0, (3,), (3,), "out of bounds"),
        (-1, (2,), (1,), "invalid storage offset"),
        (0, (2,), (-1,), "negative"),
        (0, (-2, -2), (1, 1), "overflowed"),
        (0, ("a",), (1,), "shape is not made of integers"),
    ],
)
def test_a_tensor_outside_its_storage_is_an_error(offset, size, stride, says):
    assert torch.equal(read(tensor(6, 1, (2, 2), (2, 1))), torch.tensor([[1.0, 2], [3, 4]]))
    assert says in load_error(tensor(6, offset, size, stride)).lower()


def dtype(kind: str) -> bytes:
    return call("numpy", "dtype", body(kind), body(False), body(True))


def array(shape, kind: bytes, content, *, of=b"cnumpy\nndarray\n") -> bytes:
    """The opcodes that numpy writes for an array, with other contents."""
    made = call("numpy._core.multiarray", "_reconstruct", of, body((0,)), body(b"b"))
    return whole(made + b"(" + body(1) + body(shape) + kind + body(False) + body(content) + b"tb")


FLOAT = dtype("f4")
NO_FLAGS = dtype("O8") + body((3, "|", None, None, None, -1, -1, 0)) + b"b"
FIELDS = dtype("f4") + body((3, "<", None, ("a",), {"a": (1, 0)}, -1, -1, 0)) + b"b"

MISUSED = {
    "an array of objects": (array((1,), dtype("O8"), [1]), "Python objects"),
    "objects passed off as bytes": (array((1,), NO_FLAGS, bytes(8)), "changes more of a numpy type"),
    "a type with fields": (array((1,), FIELDS, bytes(4)), "changes more of a numpy type"),
    "a void type": (array((1,), dtype("V8"), bytes(8)), "numpy values of type 'V8'"),
    "a type by a list": (whole(call("numpy", "dtype", body([("a", "O")]))), "not a pickle"),
    "a scalar of objects": (
        whole(call("numpy._core.multiarray", "scalar", dtype("O8"), body(pickle.dumps(1)))),
        "Python objects",
    ),
    "an array of another class": (
        array((1,), FLOAT, bytes(4), of=b"cbuiltins\nlist\n"),
        "another way than numpy",
    ),
    "a matrix": (array((1,), FLOAT, bytes(4), of=b"cnumpy\nmatrix\n"), "asks for 'numpy.matrix'"),
    "fewer bytes than an array takes": (array((2,), FLOAT, bytes(4)), "cannot reshape"),
    "a huge array": (array((2**40,), FLOAT, bytes(4)), "cannot reshape"),
    "an array of a list": (array((1,), FLOAT, [1.0]), "something other than bytes"),
    "ndarray called": (whole(call("numpy", "ndarray", body((2**40,)))), "not an allowed function"),
    "a plain type called": (whole(call("builtins", "int", body("1"))), "not an allowed function"),
    "a string called": (whole(body("os.system") + body(("true",)) + b"R"), "not an allowed function"),
    "huge bytes": (whole(call("builtins", "bytes", body(2**40))), "not a pickle"),
    "another encoding": (whole(call("_codecs", "encode", body("a"), body("rot13"))), "encodes text"),
    "a factory that is a function": (
        whole(call("collections", "defaultdict", b"c_codecs\nencode\n")),
        "defaultdict whose factory is not",
    ),
    "attributes of a function": (
        whole(b"c_codecs\nencode\n" + body({"__defaults__": (1,)}) + b"b"),
        "sets attributes of a function",
    ),
    "attributes of a type": (
        whole(b"ccollections\nOrderedDict\n" + body({"a": 1}) + b"b"),
        "sets attributes of a type",
    ),
    "attributes of a container": (
        whole(call("collections", "OrderedDict") + body({"a": 1}) + b"b"),
        "sets attributes of a OrderedDict",
    ),
    "attributes of a tensor": (
        tensor(6, 0, (2,), (1,))[:-1] + body({"a": 1}) + b"b.",
        "attributes of a Tensor",
    ),
    "items for a tensor": (
        b"\x80\x04" + tensor(6, 0, (2,), (1,))[2:-1] + b"(" + body(1) + b"\x90.",
        "fills a Tensor like a set",
    ),
    "items for an array": (array((1,), FLOAT, bytes(4))[:-1] + body(0) + body(1) + b"s.", "fills a ndarray"),
    "an object": (whole(b"cbuiltins\ndict\n" + body(()) + b"\x81"), "opcode NEWOBJ"),
    "an object with keywords": (
        whole(b"cbuiltins\ndict\n" + body(()) + body({}) + b"\x92"),
        "opcode NEWOBJ_EX",
    ),
    "an object by OBJ": (whole(b"(cbuiltins\ndict\no"), "opcode OBJ"),
    "an object by INST": (whole(b"(ibuiltins\ndict\n"), "asks for 'builtins.dict'"),
    "an extension": (whole(b"\x82\x01"), "opcode EXT1"),
    "a wide extension": (whole(b"\x84\x01\x00\x00\x00"), "opcode EXT4"),
    "a persistent id": (whole(b"Pid\n"), "opcode PERSID"),
    "a pickled persistent id": (whole(body("id") + b"Q"), "opcode BINPERSID"),
    "a buffer from elsewhere": (whole(b"\x97"), "opcode NEXT_BUFFER"),
    "a key nested very deep": (whole(b"})" + b"\x85" * 200_000 + b"Ns"), "nested key"),
    "a member nested very deep": (whole(b"(" + b")" + b"\x85" * 200_000 + b"\x91"), "nested key"),
    "a key that is a list": (whole(b"}]Ns"), "unhashable"),
}


@pytest.mark.parametrize("case", MISUSED)
def test_misuse_of_an_allowed_name_is_an_error(case):
    blob, says = MISUSED[case]
    assert says in load_error(blob)


def test_the_opcodes_that_numpy_writes_are_read():
    assert read(array((2,), FLOAT, np.float32([1, 2]).tobytes())).tolist() == [1, 2]


CLAIMS = [
    b"\x96" + (2**32).to_bytes(8, "little"),  # BYTEARRAY8
    b"\x8e" + (2**62).to_bytes(8, "little"),  # BINBYTES8
    b"\x8d" + (2**62).to_bytes(8, "little"),  # BINUNICODE8
    b"\x95" + (2**62).to_bytes(8, "little"),  # FRAME
    b"\x8b" + (2**31 - 1).to_bytes(4, "little"),  # LONG4
]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim[0]:#x}")
def test_a_stated_size_allocates_no_memory(claim):
    tracemalloc.start()
    try:
        load_error(whole(claim))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_high_memo_index_allocates_no_memory():
    tracemalloc.start()
    try:
        assert read(whole(b"Nr\xff\xff\xff\xff")) is None
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_torch_storage_that_states_a_huge_size_is_an_error():
    blob = numbers(6)
    assert blob.count(b"K\x06Nt") == 1
    claims = blob.replace(b"K\x06Nt", b"\x8a\x06" + (2**40).to_bytes(6, "little") + b"Nt")
    assert "storage that cannot be read" in load_error(whole(load(claims)))


# Broken files

MIXED = [{0: {0: [1, 2, 300]}}, "text", b"bytes", np.arange(3.0), torch.arange(3)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_truncated_file_is_an_error_wherever_it_ends(protocol):
    blob = pickle.dumps(MIXED, protocol)
    for end in range(len(blob)):
        assert "broken, truncated or not a pickle" in load_error(blob[:end])


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_corrupted_byte_gives_data_or_an_error():
    blob = pickle.dumps(MIXED, 4)
    errors = 0
    for place, old in enumerate(blob):
        for new in (old ^ 1, old ^ 0x80, ord("R"), ord("b"), ord(".")):
            try:
                read(blob[:place] + bytes([new]) + blob[place + 1 :])
            except UserError:
                errors += 1
    assert errors > len(blob)
