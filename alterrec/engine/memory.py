"""How many rows of scores over the catalogue may be in memory at once."""

import logging
import os

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


def rows_at_once(columns: int, device: torch.device) -> int:
    """Rows of `columns` floats per block, within the budget."""
    rows = max(FEWEST_ROWS, BLOCK.get(device.type, BLOCK["cpu"]) // columns)
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
