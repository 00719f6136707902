"""A random projection of words: a control that uses the words of a text but not their meaning.

Every word has a fixed Gaussian vector. A text's vector is the sum over its distinct words, scaled to unit length.
Source: W. B. Johnson and J. Lindenstrauss, Extensions of Lipschitz mappings into a Hilbert space, 1984.
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
    dimension: int = Field(256, ge=1, description="width of a text's vector")


def encode(texts: list[str], config: Config, progress: bool) -> np.ndarray:
    """Unit vectors [n, dimension] float32. A text without words gets a zero vector."""
    import numpy as np

    @cache
    def word_vector(word: str) -> np.ndarray:
        seed = int.from_bytes(blake2b(word.encode(), digest_size=8).digest())
        return np.random.default_rng(seed).standard_normal(config.dimension)

    vectors = np.zeros((len(texts), config.dimension))
    for row, text in enumerate(texts):
        for word in sorted(set(re.findall(r"\w+", text.lower()))):
            vectors[row] += word_vector(word)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, norms, out=vectors, where=norms > 0).astype(np.float32)
