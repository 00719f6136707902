"""What can go wrong while a study runs. Every case ends with tables that are byte-equal to those of an undisturbed run."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.faults.small_study import (
    ALTERREC,
    CONFIG,
    HOSTILE,
    RESULTS,
    ROOT,
    TABLES,
    run,
    started,
    tables,
    training,
    workflow,
    write_study,
)
from tests.unit.page_commands import copy_checkout

MAY_MOUNT = (
    subprocess.run(["unshare", "--mount", "--map-root-user", "true"], capture_output=True).returncode == 0
)
ON_SMALL_DISK = """
set -eu
kept=$(mktemp --directory)
mv results/* "$kept"
mount -t tmpfs -o size=2m tmpfs results
cp --archive "$kept"/* results
dd if=/dev/zero of=results/filler bs=1k count=$(($(df --output=avail -k results | tail -1) - 48)) status=none
! "$@"
rm results/filler
mount -o remount,ro results
! "$@"
mount -o remount,rw results
"$@"
cp --archive results/* "$kept"
umount results
mv "$kept"/* results
"""
"""Runs a command with a full disk at results/, then with a write-protected one, and then with a disk that has room."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """The folder of a finished study."""
    folder = tmp_path_factory.mktemp("undisturbed") / HOSTILE
    folder.mkdir()
    write_study(folder)
    run(folder, *workflow())
    return folder


@pytest.fixture
def study(undisturbed, tmp_path) -> Path:
    """A copy of the finished study."""
    return Path(shutil.copytree(undisturbed, tmp_path / HOSTILE))


@pytest.fixture
def untrained(study) -> Path:
    """A copy of the finished study without the run of AlterRec, the summary and the tables."""
    shutil.rmtree(study / ALTERREC)
    remove_tables(study)
    return study


def remove_tables(folder: Path) -> None:
    """Remove the tables and the summary, without which Snakemake does not look for a run."""
    for name in ("tables", "summary"):
        shutil.rmtree(folder / RESULTS / name)


def test_a_trainer_is_killed(untrained, undisturbed):
    first = started(untrained, *workflow())
    training(untrained, first).kill()
    first.communicate()
    assert first.returncode != 0
    run(untrained, *workflow())
    assert (
        "training continues after epoch"
        in (untrained / RESULTS / "logs/train/planted/alterrec/seed-4.log").read_text()
    )
    assert tables(untrained) == tables(undisturbed)


def test_snakemake_is_killed_and_its_trainer_lives_on(untrained, undisturbed):
    first = started(untrained, *workflow())
    trainer = training(untrained, first)
    trainer.suspend()
    first.kill()
    assert "Directory cannot be locked" in run(untrained, *workflow(), fails=True)
    run(untrained, *workflow("--unlock"))
    again = workflow("--rerun-incomplete")
    run(untrained, *again, fails=True)
    assert (
        "another process is writing into"
        in (untrained / RESULTS / "logs/train/planted/alterrec/seed-4.log").read_text()
    )
    trainer.kill()
    first.communicate()
    run(untrained, *again)
    assert tables(untrained) == tables(undisturbed)


def test_two_snakemakes_and_a_third_command_at_once(untrained, undisturbed):
    first = started(untrained, *workflow())
    trainer = training(untrained, first)
    trainer.suspend()
    assert "Directory cannot be locked" in run(untrained, *workflow(), fails=True)
    assert "another process is writing into" in run(
        untrained, "alterrec", "cells", "--config", "config.yaml", fails=True
    )
    trainer.resume()
    first.communicate()
    assert first.returncode == 0
    assert tables(untrained) == tables(undisturbed)


@pytest.mark.skipif(
    not MAY_MOUNT, reason="needs the permission to mount a file system in a namespace of its own"
)
def test_the_disk_is_full_and_then_write_protected(untrained, undisturbed):
    names = ["--config", "config.yaml", "--dataset", "planted", "--model", "alterrec", "--seed", "4"]
    small_disk = ("unshare", "--mount", "--map-root-user", "bash", "-c", ON_SMALL_DISK, "bash")
    printed = run(untrained, "alterrec", "train", *names, under=small_disk)
    for reason in ("No space left on device", "Read-only file system"):
        assert f"cannot be written: {reason}: make room there or permit writing" in printed
    assert "Traceback" not in printed
    run(untrained, *workflow())
    assert tables(untrained) == tables(undisturbed)


def test_a_run_a_prepared_table_and_text_vectors_are_damaged(study, undisturbed):
    for damaged, folder in (
        ("runs/planted/id_only/seed-4/ranks.parquet", "runs/planted/id_only"),
        ("data/planted/sessions.parquet", "data/planted"),
        ("data/planted/text/tfidf_svd.safetensors", "data/planted/text"),
    ):
        remove_tables(study)
        path = study / RESULTS / damaged
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 255
        path.write_bytes(content)
        run(study, *workflow(), fails=True)
        logs = [log.read_text() for log in (study / RESULTS / "logs").rglob("*.log")]
        assert any(f"{path.name} is damaged" in log or f"{path.name} is not" in log for log in logs)
        shutil.rmtree(study / RESULTS / folder)
        run(study, *workflow())
        assert tables(study) == tables(undisturbed)


def test_a_summary_is_older_than_the_runs(study, undisturbed):
    other = CONFIG["model_definitions"] | {"id_only": {"learning_rate": 0.01}}
    for definitions, equal in ((other, False), (CONFIG["model_definitions"], True)):
        (study / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"model_definitions": definitions}))
        run(study, "alterrec", "cells", "--config", "config.yaml")
        run(study, *workflow("--rerun-triggers", "mtime"))
        assert (tables(study) == tables(undisturbed)) == equal


def test_results_and_the_clone_move_to_another_folder(study, undisturbed, tmp_path):
    moved, clone = tmp_path / f"moved {HOSTILE}", tmp_path / f"clone {HOSTILE}"
    shutil.move(study, moved)
    assert "Nothing to be done" in run(moved, *workflow())
    shutil.rmtree(moved / ".snakemake")
    assert "Nothing to be done" in run(moved, *workflow())
    copy_checkout(clone)
    (moved / TABLES[0]).unlink()
    run(moved, *(argument.replace(str(ROOT), str(clone)) for argument in workflow()))
    assert tables(moved) == tables(undisturbed)
