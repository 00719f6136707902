"""Small datasets with a known signal, and tasks on them."""

import numpy as np
import torch

from alterrec.data.dataset import Dataset

SPLITS = ("train", "validation", "test")


def dataset(sessions: list[list[int]], splits: list[str], texts: list[str]) -> Dataset:
    """A prepared dataset of the given sessions over len(texts) items."""
    flat = np.concatenate([np.asarray(session, np.int32) for session in sessions])
    offsets = np.concatenate([[0], np.cumsum([len(session) for session in sessions])]).astype(np.int64)
    train = np.concatenate([s for s, split in zip(sessions, splits, strict=True) if split == "train"] or [[]])
    return Dataset(
        session_id=np.array([f"s{i}" for i in range(len(sessions))]),
        split=np.array(splits),
        targets=(np.diff(offsets) - 1).astype(np.int32),
        flat=flat,
        offsets=offsets,
        item_id=np.array([f"i{i}" for i in range(len(texts))]),
        text=np.array(texts),
        train_count=np.bincount(train.astype(int), minlength=len(texts)).astype(np.int32),
        card={},
    )


def shuffled_batches(windows, instances: int, generator: np.random.Generator, views: int = 1):
    """The batches of one training epoch over `windows`."""
    for piece in windows.shuffled_rows(instances, generator, views):
        yield windows.batch(*map(torch.from_numpy, piece))


def shuffled_splits(sessions: int, generator: np.random.Generator) -> list[str]:
    return list(generator.choice(SPLITS, sessions, p=[0.7, 0.1, 0.2]))


def id_signal(items: int = 60, sessions: int = 900, seed: int = 0) -> Dataset:
    """A fixed cycle: item i is followed by i + 1. All items share one text, so text can tell nothing."""
    generator = np.random.default_rng(seed)
    starts, lengths = generator.integers(items, size=sessions), generator.integers(2, 7, size=sessions)
    walks = [[int(s + t) % items for t in range(n)] for s, n in zip(starts, lengths, strict=True)]
    return dataset(walks, shuffled_splits(sessions, generator), ["one text"] * items)


def text_signal(items: int = 600, topics: int = 12, sessions: int = 500, seed: int = 0) -> Dataset:
    """A session stays within a topic that only the texts tell; an item is too rare for its ID to learn the topic."""
    generator = np.random.default_rng(seed)
    topic = np.arange(items) % topics
    texts = [f"topic{t} topic{t} serial{i}" for i, t in enumerate(topic)]
    walks = []
    for _ in range(sessions):
        own = np.flatnonzero(topic == generator.integers(topics))
        walks.append([int(i) for i in generator.choice(own, generator.integers(2, 5), replace=False)])
    return dataset(walks, shuffled_splits(sessions, generator), texts)


def no_signal(items: int = 200, sessions: int = 900, seed: int = 0) -> Dataset:
    """Uniform items with random texts."""
    generator = np.random.default_rng(seed)
    walks = [
        [int(i) for i in generator.integers(items, size=generator.integers(2, 6))] for _ in range(sessions)
    ]
    return dataset(
        walks, shuffled_splits(sessions, generator), [f"word{w}" for w in generator.permutation(items)]
    )


def one_hot_texts(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """A bag-of-words vector per distinct text, without any model: (vectors [M, w], text_of_item [N])."""
    distinct, text_of_item = np.unique(data.text, return_inverse=True)
    words = sorted({word for text in distinct for word in text.split()})
    column = {word: index for index, word in enumerate(words)}
    vectors = np.zeros((len(distinct), len(words)), np.float32)
    for row, text in enumerate(distinct):
        for word in text.split():
            vectors[row, column[word]] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, text_of_item.astype(np.int64)
