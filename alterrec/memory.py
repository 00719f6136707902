"""How many rows of scores over a catalogue may exist at once."""

import logging

import torch

logger = logging.getLogger(__name__)

BLOCK = {
    "cpu": 2**20,
    "cuda": 2**27,
}  # floats that are fast at once: a processor's cache; enough work for a GPU
FEWEST_ROWS = 64  # fewer waste the reading of the item matrix
COPIES = 4  # blocks of that size that live together: scores, counts, draws, the other network's scores


def rows_at_once(columns: int, device: torch.device, budget: int | None = None) -> int:
    """Rows of `columns` floats per block. `budget` in bytes; default a quarter of the memory that is free.

    Only a catalogue so large that the budget binds makes it depend on the free memory.
    """
    rows = max(FEWEST_ROWS, BLOCK.get(device.type, BLOCK["cpu"]) // columns)
    if budget is None:
        if COPIES * 4 * columns * rows <= 2**28:
            return rows
        budget = free_memory(device) // 4
    most = max(1, budget // (COPIES * 4 * columns))
    if most < rows:
        logger.info("scores of %d items are computed %d rows at a time to stay within memory", columns, most)
    return min(rows, most)


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import psutil

    return psutil.virtual_memory().available
