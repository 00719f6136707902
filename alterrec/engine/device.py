"""The device of a run, and how it calculates: determinism and the precision of matrix products."""

import os
import platform
import re
from pathlib import Path

import torch

DETERMINISTIC = "ALTERREC_DETERMINISTIC"  # 1: a GPU gives the same bits as well


def set_determinism() -> None:
    """The same bits from the same seed: always on a CPU; on a GPU only if it is asked for, since it costs time."""
    asked = os.environ.get(DETERMINISTIC) == "1"
    if asked:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # use_deterministic_algorithms does the same and imports PyTorch's compiler, which takes seconds
    torch.set_deterministic_debug_mode("warn" if asked or not torch.cuda.is_available() else "default")
    torch.utils.deterministic.fill_uninitialized_memory = False  # it would cost a quarter of a step


def set_precision(precision: str) -> None:
    """Whether a GPU rounds the factors of float32 products to tf32; see `precision` in the settings."""
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def machine() -> dict:
    """What a run is computed with: system, processor, device, and the instructions that its products are made of."""
    from threadpoolctl import threadpool_info

    libraries = [one for one in threadpool_info() if one["user_api"] == "blas"]
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": processor(),
        "device": str(device()),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "blas": sorted(
            {f"{one['internal_api']} {one['version']} {one.get('architecture', '')}" for one in libraries}
        ),
        "mkl": torch.backends.mkl.is_available() and os.environ.get("MKL_CBWR", "by the processor"),
    }


def processor() -> str:
    """The model name of the processor."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.is_file() else None
    return found[1] if found else platform.processor() or platform.machine()
