"""Files are complete or absent, a folder has one writer at a time, and a disk that cannot be written gives a sentence."""

import errno
import multiprocessing
import os
import signal

import pytest

from alterrec.errors import UserError
from alterrec.files import atomic, clear_partial, only_writer, write_text


def hold(folder, ready) -> None:
    with only_writer(folder):
        ready.set()
        signal.pause()


def test_a_folder_has_one_writer_until_that_ends_even_if_it_is_killed(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold, args=(tmp_path / "run", ready))
    holder.start()
    assert ready.wait(60)
    refused = pytest.raises(UserError, match="another process is writing into .*run: wait for its end")
    with refused, only_writer(tmp_path / "run"):
        pass
    holder.kill()
    holder.join()
    with only_writer(tmp_path / "run"):
        pass


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES])
def test_a_file_that_cannot_be_written_is_named_and_the_older_one_stays(tmp_path, fault):
    write_text(tmp_path / "file", "older")
    refused = pytest.raises(UserError, match=f"file cannot be written: {os.strerror(fault)}: make room")
    with refused, atomic(tmp_path / "file") as temporary:
        temporary.write_text("half")
        raise OSError(fault, os.strerror(fault))
    assert (tmp_path / "file").read_text() == "older"
    assert len(list(tmp_path.iterdir())) == 1


def test_other_errors_stay_as_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "file"):
        (tmp_path / "missing").read_text()


def test_what_a_killed_process_left_of_a_file_is_cleared_and_nothing_else(tmp_path):
    for name in (".one.0a.tmp.json", ".other.0b.tmp.json", "one.json"):
        (tmp_path / name).touch()
    clear_partial(tmp_path, "one")
    assert {path.name for path in tmp_path.iterdir()} == {".other.0b.tmp.json", "one.json"}
    clear_partial(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"one.json"}
