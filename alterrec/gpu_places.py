"""Places on the GPUs of this machine: a process waits for one, sees that GPU only, and keeps the place until it ends.

Every GPU has as many places as the variable ALTERREC_GPU_SHARE says (`gpu_share` in a config). A place is a file that the
process locks. The operating system releases the lock when the process ends, also when it is killed. This module does
not import torch, which must not see the other GPUs.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from filelock import FileLock, Timeout

SHARE = "ALTERREC_GPU_SHARE"
VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL_SECONDS = 0.5


@contextmanager
def gpu_place(wanted: bool) -> Iterator[None]:
    """Wait for a place on a GPU and hold it in this context. A process that wants none sees no GPU.

    Nothing happens without ALTERREC_GPU_SHARE or without a GPU.
    """
    devices = visible_devices() if SHARE in os.environ else []
    if not devices:
        yield
    elif not wanted:
        os.environ[VISIBLE] = ""
        yield
    else:
        device, lock = take_place(devices, int(os.environ[SHARE]))
        os.environ[VISIBLE] = device
        with lock:
            yield


def visible_devices() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them: as in CUDA, up to the first invalid name."""
    if VISIBLE in os.environ:
        names = (name.strip() for name in os.environ[VISIBLE].split(","))
        return list(takewhile(lambda name: name and not name.startswith("-"), names))
    try:
        command = ["nvidia-smi", "--list-gpus"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return []
    return [str(number) for number in range(len(listed.splitlines()))]


def take_place(devices: list[str], share: int) -> tuple[str, FileLock]:
    """The GPU of the first free place, and the lock that holds the place. The second places follow all first ones."""
    folder = Path(tempfile.gettempdir()) / f"alterrec-gpu-places-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    while True:
        for place in range(share):
            for device in devices:
                lock = FileLock(folder / f"{device}-{place}.lock")
                try:
                    lock.acquire(blocking=False)
                except Timeout:
                    continue
                return device, lock
        time.sleep(POLL_SECONDS)
