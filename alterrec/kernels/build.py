"""Whether this machine can build Triton kernels."""

import logging
from functools import cache
from importlib import import_module
from subprocess import SubprocessError
from types import ModuleType

logger = logging.getLogger(__name__)


@cache
def built_kernel(name: str) -> ModuleType | None:
    """The module alterrec/kernels/`name`.py, or None where Triton cannot build kernels."""
    try:
        import triton

        triton.runtime.driver.active.get_current_target()
        return import_module(f"alterrec.kernels.{name}")
    except (ImportError, OSError, RuntimeError, SubprocessError) as error:
        logger.warning(
            "%s is done by PyTorch, which is slow on a GPU, since Triton cannot build a kernel (%s): "
            "install triton, a C compiler and Python's headers",
            name.replace("_", " "),
            error,
        )
        return None
