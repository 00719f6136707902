"""Made-up datasets of a stated shape: only sizes and popularity are like a real one's, so only costs can be read off."""

from pathlib import Path

import numpy as np

from alterrec.data.dataset import Dataset
from alterrec.data.text_vectors import load_text
from alterrec.errors import UserError

TEXT_WIDTH = 384
SHORTEST = 5
TAIL = (1.06, 0.917)  # sd and mean of the logarithm of what is above SHORTEST: mean length 8.9, longest 200


def made_up(items: int, sessions: int, length: int | None = None) -> Dataset:
    """`sessions` sequences, four fifths of them for training, of a Zipf catalogue: item r has a share of 1 / r.

    All have `length` items; without it, lengths are spread as Amazon Beauty's: 5 to about 200, 8.9 in the mean.
    """
    generator = np.random.default_rng(0)
    lengths = np.full(sessions, length) if length else generator.permutation(beauty_lengths(sessions))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    mass = np.cumsum(1 / np.arange(1, items + 1))
    flat = np.searchsorted(mass, generator.random(offsets[-1]) * mass[-1]).astype(np.int32)
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
    """[S] the quantiles of a shifted lognormal, in rising order."""
    import torch

    sd, mean = TAIL
    normal = torch.special.ndtri((torch.arange(sessions, dtype=torch.float64) + 0.5) / sessions)
    return SHORTEST + np.exp(mean + sd * normal.numpy()).astype(np.int64)


def made_up_text(items: int) -> tuple[np.ndarray, np.ndarray]:
    """A random unit vector for every item: (vectors [N, 384], text_of_item [N])."""
    vectors = np.random.default_rng(1).standard_normal((items, TEXT_WIDTH), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, np.arange(items)


def load(data: str | None, items: int, sessions: int, length: int | None = None) -> Dataset:
    """The prepared dataset in the folder `data`, or else a made-up one."""
    return Dataset.load(data) if data else made_up(items, sessions, length)


def load_vectors(data: str | None, items: int) -> tuple[np.ndarray, np.ndarray]:
    """The text vectors of `data`, or else made-up ones. UserError where there are none, or several encoders'."""
    if data is None:
        return made_up_text(items)
    files = sorted(Path(data, "text").glob("*.safetensors"))
    if len(files) != 1:
        raise UserError(f"{data}/text must hold the vectors of one encoder, not of {len(files)}")
    return load_text(files[0])


def shape(dataset: Dataset) -> dict[str, int | float]:
    """Items, sequences, training instances, mean and greatest length."""
    lengths = np.diff(dataset.offsets)
    instances = int(dataset.targets[dataset.sessions_of("train")].sum())
    return {
        "items": dataset.catalogue_size,
        "sequences": len(lengths),
        "instances": instances,
        "mean_length": float(lengths.mean()),
        "longest": int(lengths.max()),
    }
