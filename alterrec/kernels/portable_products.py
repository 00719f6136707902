"""Matrix products that give the same bits on every x86-64 processor with AVX2.

PyTorch multiplies matrices on a CPU with MKL, which chooses its instructions by the processor's vendor and generation, so
another machine adds in another order. MKL's own remedy, MKL_CBWR=COMPATIBLE, gives up AVX. NumPy's
OpenBLAS takes the kernels that OPENBLAS_CORETYPE names. So in portable mode NumPy computes PyTorch's products.
"""

import os
import warnings

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import library

from alterrec.errors import UserError
from alterrec.study.portability import ENVIRONMENT

_replaced: library.Library | None = None


def use_portable_products(threads: int = 1) -> None:
    """From now on this process's matrix products on the CPU are NumPy's, on so many threads.

    UserError where the environment was not set before NumPy and PyTorch were loaded, or the processor has no AVX2.
    """
    global _replaced
    threadpool_limits(threads, "blas")  # sums depend on it, and Snakemake sets it to a job's share of --cores
    if _replaced is not None:
        return
    wrong = [name for name, value in ENVIRONMENT.items() if os.environ.get(name) != value]
    if wrong or torch.backends.cpu.get_cpu_capability() != "AVX2":
        raise UserError(
            f"portable: true needs an x86-64 processor with AVX2 and {', '.join(f'{k}={v}' for k, v in ENVIRONMENT.items())} "
            "in the environment before Python starts (`python -m alterrec` and the workflow set it): "
            "set `portable: false` where this cannot be"
        )
    _replaced = library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that PyTorch's own products are replaced
        for product in (mm, bmm, addmm, addmm_, baddbmm):
            _replaced.impl(product.__name__, product, "CPU")


def mm(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.matmul(a.detach().numpy(), b.detach().numpy()))


def bmm(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return mm(a, b)


def addmm(total: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, beta=1, alpha=1) -> torch.Tensor:
    product = mm(a, b)
    return product.mul_(alpha).add_(total if beta == 1 else total * beta)


def addmm_(total: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, beta=1, alpha=1) -> torch.Tensor:
    return total.mul_(beta).add_(mm(a, b), alpha=alpha)


def baddbmm(total: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, beta=1, alpha=1) -> torch.Tensor:
    return addmm(total, a, b, beta=beta, alpha=alpha)
