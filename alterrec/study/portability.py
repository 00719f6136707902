"""What `portable: true` fixes in the environment, so that every x86-64 processor with AVX2 gives the same bits.

The variables are read when NumPy and PyTorch are loaded, so they must be set before. Matrix products are fixed by
alterrec/kernels/portable_products.py.
"""

import os

ENVIRONMENT = {
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
}
"""The instructions of NumPy's matrix products, of PyTorch's loops, of oneDNN and of MKL."""


def set_environment(spec: dict) -> None:
    """Set the variables if the spec of a run or of text vectors is portable."""
    if spec.get("portable"):
        os.environ.update(ENVIRONMENT)
