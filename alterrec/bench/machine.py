"""The machine that is measured, and measuring in a process of its own, so that a peak of memory is that process's."""

from __future__ import annotations

import gc
import json
import os
import platform
import re
import resource
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import torch

from alterrec.errors import UserError

# As the workflow trains: see workflow/rules/common.smk.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "268435456",
}


def machine() -> dict[str, str | int]:
    """Processor, processors, memory and versions."""
    import psutil

    return {
        "processor": processor(),
        "processors": processors(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "torch": version("torch"),
    }


def processor() -> str:
    """The processor's model name."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.is_file() else None
    return found[1] if found else platform.processor() or platform.machine()


def processors() -> int:
    """Physical processors that this process may use."""
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(psutil.cpu_count(logical=False) or 1, allowed)


def peak_bytes() -> int:
    """The most resident bytes of this process so far; elsewhere than on Linux of its parent, if that had more."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.is_file() else None
    if found:
        return 1024 * int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measured_alone(module: str, settings: dict) -> dict:
    """What `measure(**settings)` of a module of this package returns, its memory its own. UserError where that fails."""
    return (measured_here if torch.cuda.is_available() else measured_apart)(module, settings)


def measured_here(module: str, settings: dict) -> dict:
    """In this process: torch counts a GPU's memory from any moment on, so nothing needs to start anew."""
    gc.collect()
    try:
        return import_module(f"alterrec.bench.{module}").measure(**settings)
    except RuntimeError as error:  # out of memory, and what else a device may say
        raise UserError(f"{module} {settings}: {error}") from None


def measured_apart(module: str, settings: dict) -> dict:
    """In a new process."""
    command = [sys.executable, "-m", f"alterrec.bench.{module}", json.dumps(settings)]
    threads = str(settings.get("threads", 1))
    environment = os.environ | ALLOCATOR | {"OMP_NUM_THREADS": threads}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"{module} {settings}: ended with {done.returncode} ({last})")
    return json.loads(done.stdout)
