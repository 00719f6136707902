"""What every text encoder shares: its settings, and the running of a sentence-transformers model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from alterrec.errors import UserError

if TYPE_CHECKING:
    import numpy as np

LARGEST_BATCH = {"cpu": 64, "cuda": 1024}
BYTES_PER_TEXT = 64 * 2**20  # a base-sized transformer's activations over 512 word pieces, at most


class EncoderConfig(BaseModel):
    """Settings of a text encoder; a key that is not declared is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: Literal["joined", "mean"] = Field(
        "joined",
        description="an item's fields (title, description, ...): joined to one text, or each encoded and the vectors "
        "averaged, as the paper does",
    )


def run_model(folder: Path, texts: list[str], progress: bool) -> np.ndarray:
    """Unit vectors [n, w] float32 of the sentence-transformers model in `folder`, on a GPU if there is one."""
    import numpy as np
    import torch
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} is not a sentence-transformers model: {error}") from error
    size = _batch_size(model.device.type)
    while True:
        try:
            vectors = model.encode(
                texts,
                batch_size=size,
                show_progress_bar=progress,
                convert_to_numpy=True,
                normalize_embeddings=True,
            )
            return vectors.astype(np.float32, copy=False)
        except torch.OutOfMemoryError:
            if size == 1:
                raise UserError(f"the GPU's memory does not hold one text through {folder}") from None
            size //= 2


def _batch_size(device: str) -> int:
    import psutil
    import torch

    free = torch.cuda.mem_get_info()[0] if device == "cuda" else psutil.virtual_memory().available
    return min(LARGEST_BATCH.get(device, 64), max(1, free // 4 // BYTES_PER_TEXT))
