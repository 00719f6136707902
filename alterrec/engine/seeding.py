"""One SeedSequence per cell (dataset, model, seed). Data splits never depend on it."""

import zlib

import numpy as np


def seed_sequence(dataset: str, model: str, seed: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([zlib.crc32(dataset.encode()), zlib.crc32(model.encode()), seed])
