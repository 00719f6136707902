"""A run that is killed several times ends with the same weights and ranks as an uninterrupted one."""

import multiprocessing
import os
import random
import signal
import time

import pytest
import torch

from alterrec import registry
from alterrec.data.text_vectors import encode_dataset
from alterrec.engine.checkpoint import Checkpoint
from alterrec.engine.device import DETERMINISTIC
from alterrec.errors import Stopped
from alterrec.execute import execute_run
from alterrec.files import file_checksum, read_json
from tests.planted import text_signal

RESULTS = ("weights.safetensors", "ranks.parquet", "top.parquet", "alpha.parquet")
KILLS = 20


def spec(model: str, **settings) -> dict:
    shared = {
        "dimension": 32,
        "blocks": 1,
        "batch_size": 64,
        "initialisation": "xavier",
        "epochs": 12,
        "patience": 99,
    }
    config = registry.model(model).module.Config(**shared | settings)
    return {
        "dataset": "planted",
        "model": model,
        "base": model,
        "version": 1,
        "seed": 1,
        "encoder": "tfidf_svd" if registry.model(model).uses_text else None,
        "baselines": [],
        "threads": 1,
        "config": config.model_dump(mode="json"),
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    text_signal(items=1500, sessions=600).save(folder)
    encoder = {"name": "tfidf_svd", "base": "tfidf_svd", "version": 1, "config": {}}
    encode_dataset(folder, encoder, folder / "text" / "tfidf_svd.safetensors")
    return folder


def die_while_saving(after: int, *arguments) -> None:
    """Train, and kill this process after `after` checkpoints, when the next one is written but not yet renamed."""
    saved = iter(range(after))
    flush = os.fsync

    def fsync(file):
        if next(saved, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(file)

    os.fsync = fsync
    execute_run(*arguments)


def test_twenty_kills_do_not_change_the_results(data, tmp_path, monkeypatch):
    monkeypatch.setenv(DETERMINISTIC, "1")  # a GPU gives the same bits only with this setting
    run, generator = spec("alterrec_aug", p=2), random.Random(0)
    context = multiprocessing.get_context("spawn" if torch.cuda.is_available() else "forkserver")
    context.set_forkserver_preload(
        ["alterrec.execute", "alterrec.method.alternation", "tests.unit.test_resume"]
    )
    started = time.perf_counter()
    uninterrupted = context.Process(target=execute_run, args=(run, data, tmp_path / "uninterrupted"))
    uninterrupted.start()
    uninterrupted.join()
    assert uninterrupted.exitcode == 0
    seconds = time.perf_counter() - started
    killed, out = tmp_path / "killed", (run, data, tmp_path / "killed")
    epochs = []
    for kill in range(KILLS):
        while_saving = kill % 2 == 1
        target, arguments = (
            (die_while_saving, (generator.randrange(2), *out)) if while_saving else (execute_run, out)
        )
        process = context.Process(target=target, args=arguments)
        process.start()
        # early enough that ten of them end no run, also if the machine is less busy by now
        process.join(None if while_saving else generator.uniform(0.02, 0.06) * seconds)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert not (killed / "ranks.parquet").exists()
        checkpoints = list(killed.glob("checkpoint-*.pt"))
        assert len(checkpoints) <= 1
        epochs.append(len(torch.load(checkpoints[0])["history"]) if checkpoints else 0)
    assert epochs == sorted(epochs)
    assert epochs[-1] > 0
    execute_run(*out)
    assert [file_checksum(killed / name) for name in RESULTS] == [
        file_checksum(tmp_path / "uninterrupted" / name) for name in RESULTS
    ]
    assert not list(killed.glob("checkpoint-*")) and not list(killed.glob(".*"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CPU always gives the same bits")
@pytest.mark.parametrize("model", ["id_only", "alterrec", "fusion_score"])
def test_a_gpu_repeats_a_run_up_to_rounding_and_exactly_if_deterministic(model, data, tmp_path, monkeypatch):
    context = multiprocessing.get_context("spawn")

    def hits20(out):
        process = context.Process(target=execute_run, args=(spec(model), data, out))
        process.start()
        process.join()
        assert process.exitcode == 0
        return read_json(out / "metrics.json")["test"]["Hits@20"]

    assert abs(hits20(tmp_path / "one") - hits20(tmp_path / "another")) < 0.02
    monkeypatch.setenv(DETERMINISTIC, "1")
    hits20(tmp_path / "first"), hits20(tmp_path / "second")
    for name in RESULTS:
        assert file_checksum(tmp_path / "first" / name) == file_checksum(tmp_path / "second" / name), name


def test_a_checkpoint_of_other_settings_is_not_used(tmp_path):
    one = Checkpoint.of(tmp_path, {"learning_rate": 0.1})
    one.save({"history": [1]})
    assert Checkpoint.of(tmp_path, {"learning_rate": 0.1}).load()["history"] == [1]
    other = Checkpoint.of(tmp_path, {"learning_rate": 0.2})
    assert other.load() is None
    assert not one.path.exists()


def test_a_run_that_is_killed_after_its_last_epoch_ranks_as_an_uninterrupted_one(data, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # a CPU always gives the same bits
    run = spec("alterrec", epochs=2)
    execute_run(run, data, tmp_path / "uninterrupted")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("alterrec.execute.rank", killed)
        execute_run(run, data, tmp_path / "killed")
    execute_run(run, data, tmp_path / "killed")
    for name in RESULTS:
        assert file_checksum(tmp_path / "killed" / name) == file_checksum(tmp_path / "uninterrupted" / name)


def killed(*_) -> None:
    raise KeyboardInterrupt


def test_the_seconds_of_a_run_are_those_of_all_its_processes(data, tmp_path):
    run = spec("id_only", epochs=2)
    with pytest.raises(Stopped):
        execute_run(run, data, tmp_path, deadline=time.time())
    (saved,) = tmp_path.glob("checkpoint-*.pt")
    state = torch.load(saved)
    assert 0 < state["seconds"] < 100
    torch.save(state | {"seconds": 1000.0}, saved)
    execute_run(run, data, tmp_path)
    assert 1000 < read_json(tmp_path / "metrics.json")["seconds"] < 1100


def test_a_broken_checkpoint_starts_from_the_beginning(tmp_path, caplog):
    one = Checkpoint.of(tmp_path, {})
    one.path.write_bytes(b"half")
    assert one.load() is None
    assert "training starts from the beginning" in caplog.text
