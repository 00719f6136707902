"""The speed of large matrix products on this device: `python -m alterrec.bench.matmul '{"threads": 2}'`."""

import json
import sys

import torch

from alterrec.bench.machine import clock, device_name, prepare_torch
from alterrec.engine.device import set_precision

SIZE = {"cpu": 4096, "cuda": 16384}
REPEATS = 3


def measure(threads: int) -> dict:
    """Floating-point operations per second for each precision of the factors."""
    where = prepare_torch(threads, "float32")
    size = SIZE[where.type]
    a, b = torch.randn(2, size, size, device=where)
    result = {"size": size, "device": device_name(where), "float32": 2 * size**3 / fastest_product(a, b)}
    set_precision("tf32")
    result["tf32"] = 2 * size**3 / fastest_product(a, b) if where.type == "cuda" else result["float32"]
    return result | {"bfloat16": 2 * size**3 / fastest_product(a.bfloat16(), b.bfloat16())}


def fastest_product(a: torch.Tensor, b: torch.Tensor) -> float:
    """Seconds of the fastest of REPEATS products a @ b, after one that is not timed."""
    seconds = []
    for _ in range(1 + REPEATS):
        started = clock(a.device)
        a @ b
        seconds.append(clock(a.device) - started)
    return min(seconds[1:])


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
