"""Text vectors that come with the data: those of the sources `amazon_m2_authors` and `table` (setting `vectors`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alterrec.encoders._encoding import EncoderConfig
from alterrec.errors import UserError

if TYPE_CHECKING:
    import numpy as np

version = 1
Config = EncoderConfig


def item_vectors(data: Path) -> np.ndarray:
    """[N, w] float32, one vector per item of the dataset in the folder `data`. UserError if it has none."""
    import pyarrow.parquet as pq

    path = data / "items.parquet"
    if "vector" not in pq.read_schema(path).names:
        raise UserError(f"{path} has no text vectors: `encoder: precomputed` needs a source that has them")
    column = pq.read_table(path, columns=["vector"])["vector"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(column), -1)
