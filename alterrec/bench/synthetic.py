"""The data of the benchmark: synthetic datasets of a stated shape, or a prepared dataset in their place.

Synthetic data resemble real data in their sizes and in the popularity of items only. They show costs, not quality.
"""

from pathlib import Path

import numpy as np

from alterrec.data.dataset import Dataset
from alterrec.data.text_vectors import load_text_vectors
from alterrec.errors import UserError

TEXT_WIDTH = 384
SHORTEST = 5
LOG_EXCESS = (1.06, 0.917)  # sd and mean of log(length - SHORTEST): mean length 8.9, longest about 200


def synthetic_dataset(items: int, sessions: int, length: int | None = None) -> Dataset:
    """`sessions` sessions over a Zipf catalogue (item r has a share of 1 / r), four fifths of them for training.

    All have `length` items. Without `length` they are as long as those of Amazon Beauty: 5 to about 200, mean 8.9.
    """
    generator = np.random.default_rng(0)
    lengths = np.full(sessions, length) if length else generator.permutation(beauty_lengths(sessions))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    cumulative_share = np.cumsum(1 / np.arange(1, items + 1))
    draws = generator.random(offsets[-1]) * cumulative_share[-1]
    flat = np.searchsorted(cumulative_share, draws).astype(np.int32)
    split = np.full(sessions, "train", dtype=object)
    split[generator.permutation(sessions)[: sessions // 5]] = "validation"
    split[np.flatnonzero(split == "validation")[::2]] = "test"
    return Dataset(
        session_id=np.arange(sessions),
        split=split,
        targets=(lengths - 1).astype(np.int32),
        flat=flat,
        offsets=offsets,
        item_id=np.arange(items),
        text=np.full(items, ""),
        train_count=np.zeros(items, np.int32),
        card={},
    )


def beauty_lengths(sessions: int) -> np.ndarray:
    """[S] quantiles of a shifted lognormal distribution, in ascending order."""
    import torch

    sd, mean = LOG_EXCESS
    normal = torch.special.ndtri((torch.arange(sessions, dtype=torch.float64) + 0.5) / sessions)
    return SHORTEST + np.exp(mean + sd * normal.numpy()).astype(np.int64)


def synthetic_text(items: int) -> tuple[np.ndarray, np.ndarray]:
    """A random unit vector for every item: (vectors [N, 384], text_of_item [N])."""
    vectors = np.random.default_rng(1).standard_normal((items, TEXT_WIDTH), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, np.arange(items)


def load_dataset(data: str | None, items: int, sessions: int, length: int | None = None) -> Dataset:
    """The prepared dataset in the folder `data`. Without `data`, a synthetic one of the stated shape."""
    return Dataset.load(data) if data else synthetic_dataset(items, sessions, length)


def load_vectors(data: str | None, items: int) -> tuple[np.ndarray, np.ndarray]:
    """The text vectors in the folder `data`. Without `data`, synthetic ones for `items` items.

    UserError where the folder does not hold the vectors of exactly one encoder.
    """
    if data is None:
        return synthetic_text(items)
    files = sorted(Path(data, "text").glob("*.safetensors"))
    if len(files) != 1:
        raise UserError(
            f"{data}/text holds the vectors of {len(files)} encoders, and the benchmark needs those of one encoder: "
            "encode the dataset's texts, or move the other files away"
        )
    return load_text_vectors(files[0])


def shape(dataset: Dataset) -> dict[str, int | float]:
    """Numbers of items, sessions and training instances, mean and greatest length of a session."""
    lengths = np.diff(dataset.offsets)
    instances = int(dataset.targets[dataset.sessions_of("train")].sum())
    return {
        "items": dataset.catalogue_size,
        "sessions": len(lengths),
        "instances": instances,
        "mean_length": float(lengths.mean()),
        "longest": int(lengths.max()),
    }
