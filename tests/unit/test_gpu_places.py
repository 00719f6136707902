"""Processes share GPUs by places: never more than `gpu_share` on one GPU, and a killed process gives its place back."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from alterrec.gpu_places import gpu_place, visible_devices
from alterrec.study.load import load_study

HOLD = """
import os, sys
from alterrec.gpu_places import gpu_place
with gpu_place(wanted=True):
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """The environment of a machine with two GPUs, of two places each. They are names only."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("ALTERREC_GPU_SHARE", "2")
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def holder(stack: ExitStack, **environment: str) -> subprocess.Popen:
    """A process that takes a place, prints its GPU and keeps the place until its input ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", HOLD]
    process = stack.enter_context(subprocess.Popen(command, env=os.environ | environment, **pipes))
    stack.callback(process.kill)
    return process


def test_places_are_spread_over_the_gpus_and_come_back_after_a_kill(two_gpus):
    with ExitStack() as stack:
        holders = {}
        for _ in range(4):
            process = holder(stack)
            holders[process] = process.stdout.readline().strip()
        assert list(holders.values()) == ["0", "1", "0", "1"]
        late = holder(stack)
        with pytest.raises(subprocess.TimeoutExpired):
            late.wait(3)
        killed = next(process for process, gpu in holders.items() if gpu == "1")
        os.kill(killed.pid, signal.SIGKILL)
        assert late.stdout.readline().strip() == "1"


def test_a_process_without_a_network_takes_no_place_and_sees_no_gpu(two_gpus):
    with gpu_place(wanted=False):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_without_a_share_nothing_is_hidden(two_gpus, monkeypatch):
    monkeypatch.delenv("ALTERREC_GPU_SHARE")
    with gpu_place(wanted=True):
        assert visible_devices() == ["0", "1"]


def test_names_count_up_to_the_first_invalid_one_as_in_cuda(monkeypatch):
    for names, visible in {"-1": [], "": [], "0,-1,1": ["0"], " 1 , 0": ["1", "0"]}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", names)
        assert visible_devices() == visible


@pytest.mark.parametrize(("status", "visible"), [(0, ["0"]), (9, [])])
def test_what_nvidia_smi_prints_when_it_fails_is_no_gpu(monkeypatch, tmp_path, status, visible):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho 'one line'\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_devices() == visible


def test_the_configs_share_reaches_a_job_which_waits_for_its_place(two_gpus, tmp_path):
    config = {
        "name": "try",
        "datasets": ["produce"],
        "models": ["popularity", "id_only"],
        "seeds": [1],
        "gpu_share": 1,
        "defaults": {"dimension": 8, "epochs": 1},
        "dataset_definitions": {
            "produce": {"source": "complete_journey", "department": "PRODUCE", "weeks": 4}
        },
    }
    study = load_study(config)
    environment = os.environ | study.environment() | {"CUDA_VISIBLE_DEVICES": "0"}

    def start(verb: str, spec: dict, out: str) -> subprocess.Popen:
        options = ["--spec", json.dumps(spec), "--out", str(tmp_path / out)]
        options += ["--data", str(tmp_path / "data")] if verb == "train" else []
        return subprocess.Popen([sys.executable, "-m", "alterrec", verb, *options], env=environment)

    assert start("prepare", study.dataset("produce"), "data").wait() == 0
    with ExitStack() as stack:
        first = holder(stack, CUDA_VISIBLE_DEVICES="0", ALTERREC_GPU_SHARE="1")
        assert first.stdout.readline().strip() == "0"
        waiting = start("train", study.spec("produce", "id_only", 1), "runs/id_only/seed-1")
        stack.callback(waiting.kill)
        assert start("train", study.spec("produce", "popularity", 1), "runs/popularity/seed-1").wait() == 0
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(5)
        first.stdin.close()
        assert waiting.wait() == 0
