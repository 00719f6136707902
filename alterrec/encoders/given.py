"""The text vectors that come with the data, as the authors' archive and `table` with `vectors:` have them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alterrec.encoders.base import EncoderConfig

if TYPE_CHECKING:
    import numpy as np

version = 1
Config = EncoderConfig


def of_items(data: Path) -> np.ndarray:
    """[N, w] float32, one vector per item. UserError where the dataset in `data` brings none."""
    from alterrec.sessions import load_vectors

    return load_vectors(data)
