"""A random projection of words: the control that knows which words a text has, and nothing of what they mean.

A text's vector is the sum of one fixed Gaussian vector per distinct word, of unit length. Source: W. B. Johnson and
J. Lindenstrauss, Extensions of Lipschitz mappings into a Hilbert space, 1984.
"""

from __future__ import annotations

import re
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from pydantic import Field

from alterrec.encoders._encoding import EncoderConfig

if TYPE_CHECKING:
    import numpy as np

version = 1


class Config(EncoderConfig):
    dimension: int = Field(256, ge=1)


def encode(texts: list[str], config: Config, progress: bool) -> np.ndarray:
    """Unit vectors [n, dimension] float32, zero for a text without words."""
    import numpy as np

    @cache
    def of_word(word: str) -> np.ndarray:
        seed = int.from_bytes(blake2b(word.encode(), digest_size=8).digest())
        return np.random.default_rng(seed).standard_normal(config.dimension)

    vectors = np.zeros((len(texts), config.dimension))
    for row, text in enumerate(texts):
        for word in sorted(set(re.findall(r"\w+", text.lower()))):
            vectors[row] += of_word(word)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=vectors, where=length > 0).astype(np.float32)
