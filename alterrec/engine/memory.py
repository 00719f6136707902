"""How many rows of scores over the catalogue may be in memory at once."""

import gc
import logging
import os
from collections.abc import Callable
from contextvars import ContextVar

import torch

from alterrec.errors import UserError

logger = logging.getLogger(__name__)

BUDGET = "ALTERREC_MEMORY_BUDGET"
"""GiB that scores may take. If it is not set, they may take a quarter of the free memory."""
BLOCK = {"cpu": 2**22, "cuda": 2**27}
"""Floats of a block that are fast to compute: most of a processor's cache, or enough work for a GPU."""
FEWEST_ROWS = 64  # with fewer rows, reading the item matrix takes most of the time
COPIES = 4  # blocks of that size in memory together: scores, counts, draws, the other network's scores
SMALL = {"cpu": 2**28, "cuda": 2**32}
"""Bytes that every machine has: free memory is looked up only for blocks that need more."""
HALVINGS: ContextVar[int] = ContextVar("halvings", default=0)
"""How often the blocks were halved because memory ran out."""
MOST_HALVINGS = FEWEST_ROWS.bit_length() - 1  # to a single row


def rows_at_once(columns: int, device: torch.device) -> int:
    """Rows of `columns` floats per block, within the budget."""
    rows = max(1, max(FEWEST_ROWS, BLOCK.get(device.type, BLOCK["cpu"]) // columns) >> HALVINGS.get())
    bytes_per_row = COPIES * 4 * columns
    stated = os.environ.get(BUDGET)
    if not stated and rows * bytes_per_row <= SMALL.get(device.type, SMALL["cpu"]):
        return rows
    most = max(1, int(stated_bytes(stated) if stated else free_memory(device) / 4) // bytes_per_row)
    if most < rows:
        logger.info("scores of %d items are computed %d rows at a time to stay within memory", columns, most)
    return min(rows, most)


def stated_bytes(gib: str) -> float:
    try:
        return float(gib) * 2**30
    except ValueError:
        raise UserError(f"{BUDGET} is {gib!r}: state a number of GiB") from None


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import psutil

    return psutil.virtual_memory().available


def in_memory(work: Callable):
    """What `work` returns. Each time that memory runs out, it starts again with blocks of half as many rows.

    UserError if it runs out even so.
    """
    for halvings in range(MOST_HALVINGS + 1):
        token = HALVINGS.set(halvings)
        try:
            return work()
        except (MemoryError, RuntimeError) as error:  # torch's OutOfMemoryError is a RuntimeError
            if not out_of_memory(error):
                raise
            logger.warning("memory ran out: %s", error)
        finally:
            HALVINGS.reset(token)
        gc.collect()  # after the error, which refers to what it could not finish
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    raise UserError(
        "memory ran out, also with scores computed a few rows at a time: run fewer cells at once (--cores), or lower "
        "batch_size, dimension or max_length"
    )


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out; on a CPU, torch raises a plain RuntimeError."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
