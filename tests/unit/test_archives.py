"""Archives: what is read from honest ones, and how hostile and broken ones are refused."""

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
    """An archive of the kind that the path's name tells, with one folder and `files`."""
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


def refused(archive, name="set/ratings.csv", **settings):
    with pytest.raises(UserError) as caught:
        read(archive, name, **settings)
    assert "\n" not in str(caught.value)
    assert str(archive) in str(caught.value)
    return str(caught.value)


# Honest archives


def test_members_are_the_files_in_order(archive):
    assert members(archive) == list(FILES)


def test_members_are_read_and_nothing_is_written(archive):
    assert {name: read(archive, name) for name in reversed(FILES)} == FILES
    with open_member(archive, "set/names.csv") as file:
        assert io.TextIOWrapper(file, encoding="utf-8").read() == "é\n"
    assert list(archive.parent.iterdir()) == [archive]


def test_what_the_reader_raises_is_not_taken_for_a_broken_archive(archive):
    with pytest.raises(ValueError, match="mine"), open_member(archive, "set/names.csv"):
        raise ValueError("mine")


def test_a_missing_member_names_the_nearest(archive):
    message = refused(archive, "set/rating.csv")
    assert "has no member 'set/rating.csv' (did you mean 'set/ratings.csv'?); its members: set/r" in message


def test_a_folder_is_no_member(archive):
    assert "has no member 'set'" in refused(archive, "set")


def test_a_missing_archive_is_named(tmp_path):
    assert "there is no file" in refused(tmp_path / "a.zip")


# Hostile archives


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("name", ["/etc/x", "../x", "set/../../x", "set/..", "..\\x", "C:\\x", "\\\\host\\x"])
def test_a_path_out_of_the_archive_refuses_the_whole(tmp_path, kind, name):
    archive = written(tmp_path / kind, FILES | {name: b"x"})
    message = refused(archive)
    assert "is refused: its member " in message
    assert repr(name) in message
    with pytest.raises(UserError):
        members(archive)


def test_names_with_dots_are_fine(tmp_path):
    archive = written(tmp_path / "a.tar", {"./set/a..b.csv": b"x", "..set/...": b"y"})
    assert members(archive) == ["./set/a..b.csv", "..set/..."]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_refuse_the_whole(tmp_path, kind):
    archive = written(tmp_path / "a.tar")
    with tarfile.open(archive, "a") as packed:
        packed.addfile(tar_member("set/odd", kind=kind, link="set/ratings.csv"))
    assert "its member 'set/odd' is a link or a device" in refused(archive)


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_refuse_the_whole(tmp_path, mode):
    archive = written(tmp_path / "a.zip")
    info = zipfile.ZipInfo("set/odd")
    info.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(info, "/etc/passwd")
    assert "its member 'set/odd' is a link or a device" in refused(archive)


def test_more_than_the_limit_is_refused(archive):
    size = sum(map(len, FILES.values()))
    assert read(archive, "set/names.csv", limit=size) == FILES["set/names.csv"]
    message = refused(archive, limit=size - 1)
    assert f"its member 'set/names.csv' brings what it would unpack to over {size - 1} bytes" in message


def test_a_tar_that_announces_too_much_is_refused_before_it_is_read(tmp_path):
    header = tar_member("huge", 2**45).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "a.tar").write_bytes(header)
    assert "its member 'huge' brings" in refused(tmp_path / "a.tar")


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


@pytest.mark.parametrize(("size", "refuses"), [(100 * 2**20, False), (100 * 2**20 + 1, True)])
def test_a_zip_bomb_is_refused(tmp_path, size, refuses):
    archive = patched(zip_of_one(tmp_path / "a.zip"), SIZE, size.to_bytes(4, "little"))
    if refuses:
        assert "would unpack to more than 1000 times its size" in refused(archive)
    else:
        assert members(archive) == ["set/ratings.csv"]


def test_a_member_longer_than_its_header_says_is_cut_and_refused(tmp_path):
    archive = patched(zip_of_one(tmp_path / "a.zip"), SIZE, (10).to_bytes(4, "little"))
    got = b""
    with pytest.raises(UserError, match="Bad CRC"), open_member(archive, "set/ratings.csv") as file:
        while part := file.read(4):
            got += part
    assert len(got) <= 10


def test_an_encrypted_zip_is_refused(tmp_path):
    archive = patched(zip_of_one(tmp_path / "a.zip"), FLAGS, b"\x01")
    assert "its member 'set/ratings.csv' is encrypted" in refused(archive)


def test_methods_that_bombs_like_are_refused(tmp_path):
    archive = zip_of_one(tmp_path / "a.zip", method=zipfile.ZIP_BZIP2)
    assert "is packed by another method than deflate" in refused(archive)


# Broken archives


@pytest.mark.parametrize("share", [0, 0.1, 0.5])
def test_a_cut_archive_is_refused(archive, share):
    body = archive.read_bytes()
    archive.write_bytes(body[: int(share * len(body))])
    assert "broken or cut short" in refused(archive)


def test_a_tar_cut_between_members_is_refused(tmp_path):
    archive = written(tmp_path / "a.tar")
    with tarfile.open(archive) as packed:
        end_of_first = packed.getmember("set/names.csv").offset
    archive.write_bytes(archive.read_bytes()[:end_of_first])
    assert "its end is missing" in refused(archive)


def test_a_spoilt_header_is_not_taken_for_the_end(tmp_path):
    archive = written(tmp_path / "a.tar")
    with tarfile.open(archive) as packed:
        offset = packed.getmember("set/names.csv").offset
    body = bytearray(archive.read_bytes())
    body[offset] ^= 1
    archive.write_bytes(body)
    assert "its end is missing" in refused(archive)


def test_a_gzip_checksum_that_differs_is_refused(tmp_path):
    body = bytearray(written(tmp_path / "a.tar.gz").read_bytes())
    body[-8] ^= 1
    (tmp_path / "a.tar.gz").write_bytes(body)
    assert "CRC check failed" in refused(tmp_path / "a.tar.gz")


def test_a_spoilt_zip_member_is_refused(tmp_path):
    archive = zip_of_one(tmp_path / "a.zip", method=zipfile.ZIP_STORED)
    body = bytearray(archive.read_bytes())
    body[1000] ^= 1
    archive.write_bytes(body)
    assert "Bad CRC-32" in refused(archive)


@pytest.mark.parametrize("name", NAMES)
def test_another_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(b"<html>") if name == "a.tgz" else b"<html>" * 200)
    assert "is no such archive, broken or cut short" in refused(tmp_path / name)
