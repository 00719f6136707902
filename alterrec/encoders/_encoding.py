"""What text encoders share: their settings, and how a sentence-transformers model encodes texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from alterrec.errors import UserError

if TYPE_CHECKING:
    import numpy as np

# The same on every machine, since a vector's last bits depend on the batch; at most 1 GiB, as below.
CPU_BATCH = 16
LARGEST_GPU_BATCH = 1024
BYTES_PER_TEXT = 64 * 2**20  # upper bound: activations of a base-sized transformer for 512 word pieces


class EncoderConfig(BaseModel):
    """Settings of a text encoder. A key that is not declared here is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: Literal["joined", "mean"] = Field(
        "joined",
        description="what becomes of an item's fields (title, description, ...): `joined` encodes them as one text, "
        "`mean` encodes each field and averages the vectors, as the paper does",
    )


def encode_with_model(folder: Path, texts: list[str], progress: bool) -> np.ndarray:
    """Unit vectors [n, w] float32 from the sentence-transformers model in `folder`, on a GPU if there is one.

    The batch size is halved until a batch fits into the GPU's memory. UserError if `folder` holds no model or if not
    even one text fits.
    """
    import numpy as np
    import torch
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder} is not a sentence-transformers model: {error}: check the folder"
        ) from error
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
                raise UserError(
                    f"the GPU has too little free memory to encode one text with {folder}: "
                    "free its memory, or hide the GPU (CUDA_VISIBLE_DEVICES=) to encode on the CPU"
                ) from None
            size //= 2


def _batch_size(device: str) -> int:
    """On a GPU as many texts as a quarter of its free memory holds, up to the largest batch."""
    import torch

    if device != "cuda":
        return CPU_BATCH
    free, _ = torch.cuda.mem_get_info()
    return min(LARGEST_GPU_BATCH, max(1, free // 4 // BYTES_PER_TEXT))
