"""The device of a run, and how it calculates: determinism and the precision of matrix products."""

import os

import torch

DETERMINISTIC = "ALTERREC_DETERMINISTIC"  # 1: a GPU gives the same bits as well


def set_determinism() -> None:
    """The same bits from the same seed: always on a CPU; on a GPU only if it is asked for, since it costs time."""
    asked = os.environ.get(DETERMINISTIC) == "1"
    if asked:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(asked or not torch.cuda.is_available(), warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # it would cost a quarter of a step


def set_precision(precision: str) -> None:
    """Whether a GPU rounds the factors of float32 products to tf32; see `precision` in the settings."""
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
