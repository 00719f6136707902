"""The machine that is measured: its hardware, its clock and memory, and torch set up on it as for a training run.

`python -m alterrec.bench.machine '{"threads": 2}'` prints the speed of its large matrix products.
"""

from __future__ import annotations

import json
import platform
import re
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch

from alterrec.engine.device import device, processor, set_determinism, set_precision
from alterrec.study.processors import processors

PRODUCT_SIZE = {"cpu": 4096, "cuda": 16384}  # rows and columns of the large matrices
PRODUCT_REPEATS = 3


def machine() -> dict[str, str | int]:
    """Processor, number of processors, memory and versions."""
    import psutil

    return {
        "processor": processor(),
        "processors": processors(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "torch": version("torch"),
    }


def device_name(where: torch.device) -> str:
    return torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU"


def peak_bytes() -> int:
    """The peak resident memory of this process in bytes. Outside Linux it can be its parent's, if that is higher."""
    status = Path("/proc/self/status")
    match = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.is_file() else None
    if match:
        return 1024 * int(match[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def clock(where: torch.device) -> float:
    """The time in seconds, once the device has finished its work."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)
    return time.perf_counter()


def prepare_torch(threads: int, precision: str) -> torch.device:
    """Set torch up as a training run does, and reset a GPU's memory peak. Returns the device."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    set_determinism()
    set_precision(precision)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return device()


def measure(threads: int) -> dict:
    """Floating-point operations per second of large matrix products, for each precision of the factors.

    None for bfloat16 without instructions for it.
    """
    where = prepare_torch(threads, "float32")
    size = PRODUCT_SIZE[where.type]
    a, b = torch.randn(2, size, size, device=where)
    result = {"size": size, "device": device_name(where), "float32": 2 * size**3 / fastest_product(a, b)}
    set_precision("tf32")
    result["tf32"] = 2 * size**3 / fastest_product(a, b) if where.type == "cuda" else result["float32"]
    if not multiplies_bfloat16(where):
        return result | {"bfloat16": None}
    return result | {"bfloat16": 2 * size**3 / fastest_product(a.bfloat16(), b.bfloat16())}


def multiplies_bfloat16(where: torch.device) -> bool:
    """Whether the device has instructions for bfloat16 products. A CPU without them takes many times as long as float32."""
    return where.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def fastest_product(a: torch.Tensor, b: torch.Tensor) -> float:
    """Seconds of the fastest of PRODUCT_REPEATS products a @ b, after one that is not timed."""
    seconds = []
    for _ in range(1 + PRODUCT_REPEATS):
        started = clock(a.device)
        a @ b
        seconds.append(clock(a.device) - started)
    return min(seconds[1:])


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
