"""A process that is killed in the middle of a write and started again writes the bytes of an undisturbed one and no more."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from alterrec.analysis.summary import summarise
from alterrec.data.text_vectors import encode_dataset
from alterrec.files import file_checksum
from alterrec.runner.study_jobs import prepare_from_source
from alterrec.study.load import load_study
from tests.faults.small_study import CONFIG, write_study
from tests.unit.planted_runs import planted_study

STUDY = load_study(CONFIG)


def prepare(folder: Path) -> None:
    os.chdir(folder)
    prepare_from_source(STUDY.dataset("planted"), folder / "out")


def encode(folder: Path) -> None:
    prepare(folder)
    encode_dataset(folder / "out", STUDY.encoder_spec("tfidf_svd"), folder / "out/text/tfidf_svd.safetensors")


def summary(folder: Path) -> None:
    study = planted_study(folder, {"real": None}, {"id_only": 0.17, "text_only": 0.19}, seeds=(1,))
    summarise(study, folder / "out", resamples=10)


def die_while_writing(after: int, write, folder: Path) -> None:
    """Call `write`, and kill this process after `after` files, when the next one is written but not yet renamed."""
    written = iter(range(after))
    replace = os.replace

    def replace_or_die(*paths):
        if Path(paths[1]).is_relative_to(folder / "out") and next(written, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)

    os.replace = replace_or_die
    write(folder)


def exit_code(target, *arguments) -> int:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.test_killed_writers"])
    process = context.Process(target=target, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def checksums(folder: Path) -> dict[str, str]:
    files = [path for path in (folder / "out").rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): file_checksum(path) for path in files}


@pytest.mark.parametrize(("write", "files"), [(prepare, 4), (encode, 5), (summary, 3)])
def test_a_killed_writer_leaves_nothing_that_changes_the_next_ones_files(tmp_path, write, files):
    folders = {name: tmp_path / name for name in ("killed", "undisturbed")}
    for folder in folders.values():
        folder.mkdir()
        write_study(folder)
    assert exit_code(write, folders["undisturbed"]) == 0
    for after in range(files):
        assert exit_code(die_while_writing, after, write, folders["killed"]) == -signal.SIGKILL
        assert list((folders["killed"] / "out").rglob(".*.tmp*"))
    assert exit_code(write, folders["killed"]) == 0
    assert checksums(folders["killed"]) == checksums(folders["undisturbed"])
