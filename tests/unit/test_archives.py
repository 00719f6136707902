"""Archives: valid ones are read; hostile and broken ones are errors."""

import gzip
import io
import stat
import tarfile
import zipfile

import pytest

from alterrec.errors import UserError
from alterrec.readers.archives import members, open_member

FILES = {"set/ratings.csv": b"1,2\n" * 5000, "set/names.csv": "é\n".encode()}
NAMES = ["a.zip", "a.tar", "a.tar.gz", "a.tgz"]


def tar_member(name, size=0, kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, link
    return member


def written(path, files=FILES):
    """Write an archive in the format of the path's ending, with one folder and `files`."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("set/", b"")
            for name, body in files.items():
                packed.writestr(name, body)
    else:
        with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as packed:
            packed.addfile(tar_member("set", kind=tarfile.DIRTYPE))
            for name, body in files.items():
                packed.addfile(tar_member(name, len(body)), io.BytesIO(body))
    return path


@pytest.fixture(params=NAMES)
def archive(request, tmp_path):
    return written(tmp_path / request.param)


def read(archive, name, **settings):
    with open_member(archive, name, **settings) as file:
        return file.read()


def load_error(archive, name="set/ratings.csv", **settings):
    with pytest.raises(UserError) as caught:
        read(archive, name, **settings)
    assert "\n" not in str(caught.value)
    assert str(archive) in str(caught.value)
    return str(caught.value)


# Valid archives


def test_members_lists_the_files_in_order(archive):
    assert members(archive) == list(FILES)


def test_members_are_read_without_writing_to_the_disk(archive):
    assert {name: read(archive, name) for name in reversed(FILES)} == FILES
    with open_member(archive, "set/names.csv") as file:
        assert io.TextIOWrapper(file, encoding="utf-8").read() == "é\n"
    assert list(archive.parent.iterdir()) == [archive]


def test_an_exception_of_the_caller_is_passed_through(archive):
    with pytest.raises(ValueError, match="mine"), open_member(archive, "set/names.csv"):
        raise ValueError("mine")


def test_a_missing_member_is_an_error_with_the_nearest_name(archive):
    message = load_error(archive, "set/rating.csv")
    assert "has no member 'set/rating.csv' (did you mean 'set/ratings.csv'?); its members: set/r" in message


def test_a_folder_is_not_a_member(archive):
    assert "has no member 'set'" in load_error(archive, "set")


def test_a_missing_archive_is_an_error(tmp_path):
    assert "there is no file" in load_error(tmp_path / "a.zip")


# Hostile archives


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("name", ["/etc/x", "../x", "set/../../x", "set/..", "..\\x", "C:\\x", "\\\\host\\x"])
def test_a_path_outside_the_archive_rejects_the_whole_archive(tmp_path, kind, name):
    archive = written(tmp_path / kind, FILES | {name: b"x"})
    message = load_error(archive)
    assert "is rejected: its member " in message
    assert repr(name) in message
    with pytest.raises(UserError):
        members(archive)


def test_names_with_dots_are_allowed(tmp_path):
    archive = written(tmp_path / "a.tar", {"./set/a..b.csv": b"x", "..set/...": b"y"})
    assert members(archive) == ["./set/a..b.csv", "..set/..."]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_reject_the_whole_archive(tmp_path, kind):
    archive = written(tmp_path / "a.tar")
    with tarfile.open(archive, "a") as packed:
        packed.addfile(tar_member("set/odd", kind=kind, link="set/ratings.csv"))
    assert "its member 'set/odd' is a link or a device" in load_error(archive)


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_reject_the_whole_archive(tmp_path, mode):
    archive = written(tmp_path / "a.zip")
    info = zipfile.ZipInfo("set/odd")
    info.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(info, "/etc/passwd")
    assert "its member 'set/odd' is a link or a device" in load_error(archive)


def test_more_than_max_bytes_is_an_error(archive):
    size = sum(map(len, FILES.values()))
    assert read(archive, "set/names.csv", max_bytes=size) == FILES["set/names.csv"]
    message = load_error(archive, max_bytes=size - 1)
    assert f"its member 'set/names.csv' makes the unpacked size exceed {size - 1} bytes" in message


def test_a_tar_that_states_a_huge_size_is_an_error_before_it_is_read(tmp_path):
    header = tar_member("huge", 2**45).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "a.tar").write_bytes(header)
    assert "its member 'huge' makes the unpacked size exceed" in load_error(tmp_path / "a.tar")


def patched(archive, offset, value):
    """`archive` with `value` at `offset` of the first entry of its central directory."""
    body = bytearray(archive.read_bytes())
    start = body.index(b"PK\x01\x02") + offset
    body[start : start + len(value)] = value
    archive.write_bytes(body)
    return archive


COMPRESSED, SIZE, FLAGS = 20, 24, 8  # offsets in an entry of the central directory


def zip_of_one(path, body=FILES["set/ratings.csv"], method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as packed:
        packed.writestr("set/ratings.csv", body)
    return path


@pytest.mark.parametrize(("size", "is_error"), [(100 * 2**20, False), (100 * 2**20 + 1, True)])
def test_a_zip_bomb_is_an_error(tmp_path, size, is_error):
    archive = patched(zip_of_one(tmp_path / "a.zip"), SIZE, size.to_bytes(4, "little"))
    if is_error:
        assert "would unpack to more than 1000 times its size" in load_error(archive)
    else:
        assert members(archive) == ["set/ratings.csv"]


def test_a_member_longer_than_its_header_says_is_an_error(tmp_path):
    archive = patched(zip_of_one(tmp_path / "a.zip"), SIZE, (10).to_bytes(4, "little"))
    got = b""
    with pytest.raises(UserError, match="Bad CRC"), open_member(archive, "set/ratings.csv") as file:
        while part := file.read(4):
            got += part
    assert len(got) <= 10


def test_an_encrypted_zip_is_an_error(tmp_path):
    archive = patched(zip_of_one(tmp_path / "a.zip"), FLAGS, b"\x01")
    assert "its member 'set/ratings.csv' is encrypted" in load_error(archive)


def test_another_compression_method_is_an_error(tmp_path):
    archive = zip_of_one(tmp_path / "a.zip", method=zipfile.ZIP_BZIP2)
    assert "is compressed by another method than deflate" in load_error(archive)


# Broken archives


@pytest.mark.parametrize("share", [0, 0.1, 0.5])
def test_a_truncated_archive_is_an_error(archive, share):
    body = archive.read_bytes()
    archive.write_bytes(body[: int(share * len(body))])
    assert "broken, truncated or not an archive" in load_error(archive)


def test_a_tar_truncated_between_members_is_an_error(tmp_path):
    archive = written(tmp_path / "a.tar")
    with tarfile.open(archive) as packed:
        end_of_first = packed.getmember("set/names.csv").offset
    archive.write_bytes(archive.read_bytes()[:end_of_first])
    assert "its end is missing" in load_error(archive)


def test_a_corrupted_header_is_not_mistaken_for_the_end(tmp_path):
    archive = written(tmp_path / "a.tar")
    with tarfile.open(archive) as packed:
        offset = packed.getmember("set/names.csv").offset
    body = bytearray(archive.read_bytes())
    body[offset] ^= 1
    archive.write_bytes(body)
    assert "its end is missing" in load_error(archive)


def test_a_wrong_gzip_checksum_is_an_error(tmp_path):
    body = bytearray(written(tmp_path / "a.tar.gz").read_bytes())
    body[-8] ^= 1
    (tmp_path / "a.tar.gz").write_bytes(body)
    assert "CRC check failed" in load_error(tmp_path / "a.tar.gz")


def test_a_corrupted_zip_member_is_an_error(tmp_path):
    archive = zip_of_one(tmp_path / "a.zip", method=zipfile.ZIP_STORED)
    body = bytearray(archive.read_bytes())
    body[1000] ^= 1
    archive.write_bytes(body)
    assert "Bad CRC-32" in load_error(archive)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_not_an_archive_is_an_error(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(b"<html>") if name == "a.tgz" else b"<html>" * 200)
    assert "is broken, truncated or not an archive" in load_error(tmp_path / name)
