"""What several tests share: small datasets with a known signal, and small networks on them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from alterrec.data.dataset import Dataset
from alterrec.engine.batching import TrainingBatches
from alterrec.engine.contract import Scorer
from alterrec.engine.windows import Batch, Windows
from alterrec.method.networks import UniModalNetwork, id_network, text_network
from alterrec.ranking.metrics import expected_hits
from alterrec.ranking.rank import rank
from alterrec.study.settings import NeuralConfig

CPU = torch.device("cpu")
SPLITS = ("train", "validation", "test")

# Sessions over 13 items, with repeated items, and with prefixes longer than 6 items.
SESSIONS = [[1, 2, 3], [4, 0, 0, 5], [6, 7], list(range(12)), [3, 9, 11, 10, 12, 1, 2, 5, 8]]
ITEMS, MAX_LENGTH = 13, 6
TEXT_OF_ITEM = torch.tensor([0, 1, 2, 3, 0, 1, 4, 5, 6, 0, 7, 8, 8])
CONFIG = NeuralConfig(
    dimension=8, heads=2, blocks=2, dropout=0.0, max_length=MAX_LENGTH, initialisation="xavier"
)


def dataset(sessions: list[list[int]], splits: list[str], texts: list[str]) -> Dataset:
    """A prepared dataset of the sessions, with one split for each, over len(texts) items."""
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


def train_windows(
    sessions: list[list[int]], items: int = ITEMS, max_length: int = MAX_LENGTH, where: torch.device = CPU
) -> Windows:
    """The windows of the sessions, all of which are in the training split."""
    data = dataset(sessions, ["train"] * len(sessions), ["t"] * items)
    return Windows(data, ("train",), max_length, where)


def shuffled_batches(
    windows: Windows, instances: int, generator: np.random.Generator, views: int = 1
) -> Iterator[Batch]:
    """The batches of single prefixes of one training epoch over `windows`, each under every view."""
    batches = TrainingBatches(windows, CONFIG.model_copy(update={"batch_size": instances}))
    return batches.one_by_one(batches.draw(generator, views))


def random_splits(sessions: int, generator: np.random.Generator) -> list[str]:
    """A split for each session: about 70 % train, 10 % validation, 20 % test."""
    return list(generator.choice(SPLITS, sessions, p=[0.7, 0.1, 0.2]))


def id_signal(items: int = 60, sessions: int = 900, seed: int = 0) -> Dataset:
    """A fixed cycle: item i is followed by item i + 1. All items share one text, so texts have no signal."""
    generator = np.random.default_rng(seed)
    starts, lengths = generator.integers(items, size=sessions), generator.integers(2, 7, size=sessions)
    walks = [[int(s + t) % items for t in range(n)] for s, n in zip(starts, lengths, strict=True)]
    return dataset(walks, random_splits(sessions, generator), ["one text"] * items)


def text_signal(items: int = 600, topics: int = 12, sessions: int = 500, seed: int = 0) -> Dataset:
    """A session stays within one topic, which the texts name. Items are too rare to learn their topic by ID."""
    generator = np.random.default_rng(seed)
    topic = np.arange(items) % topics
    texts = [f"topic{t} topic{t} serial{i}" for i, t in enumerate(topic)]
    walks = []
    for _ in range(sessions):
        of_topic = np.flatnonzero(topic == generator.integers(topics))
        walks.append([int(i) for i in generator.choice(of_topic, generator.integers(2, 5), replace=False)])
    return dataset(walks, random_splits(sessions, generator), texts)


def no_signal(items: int = 200, sessions: int = 900, seed: int = 0) -> Dataset:
    """Uniformly drawn items with random texts."""
    generator = np.random.default_rng(seed)
    walks = [
        [int(i) for i in generator.integers(items, size=generator.integers(2, 6))] for _ in range(sessions)
    ]
    splits = random_splits(sessions, generator)
    return dataset(walks, splits, [f"word{w}" for w in generator.permutation(items)])


def word_vectors(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """A normalised bag-of-words vector for each distinct text: (vectors [M, w], text_of_item [N])."""
    distinct, text_of_item = np.unique(data.text, return_inverse=True)
    words = sorted({word for text in distinct for word in text.split()})
    column = {word: index for index, word in enumerate(words)}
    vectors = np.zeros((len(distinct), len(words)), np.float32)
    for row, text in enumerate(distinct):
        for word in text.split():
            vectors[row, column[word]] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, text_of_item.astype(np.int64)


def hits_of_test_instances(scorer: Scorer, data: Dataset, k: int, where: torch.device = CPU) -> np.ndarray:
    """[I] expected Hits@k of every test instance."""
    ranks, *_ = rank(scorer, data, 50, where)
    test = ranks[ranks["split"] == "test"]
    return expected_hits(test["above"].to_numpy(), test["ties"].to_numpy(), k)


def small_network(kind: str, initialisation: str = "xavier") -> tuple[UniModalNetwork, torch.Tensor | None]:
    """A float64 network over ITEMS items, "id" or "text", and each item's text vector [N, w] if it has texts."""
    torch.manual_seed(0)
    config = CONFIG.model_copy(update={"initialisation": initialisation})
    text = torch.randn(9, 5, dtype=torch.float64)
    if kind == "id":
        return id_network(ITEMS, config).double(), None
    return text_network(text, TEXT_OF_ITEM, config).double(), text[TEXT_OF_ITEM]


def gradients(network: torch.nn.Module, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gradient of the loss in every parameter, by name."""
    network.zero_grad()
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in network.named_parameters()}


def drawn_negatives(instances: int, items: int = ITEMS, draws: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Random negatives as a list of items [I, draws], and as counts [I, N] in float64."""
    drawn = torch.randint(items, (instances, draws), generator=torch.Generator().manual_seed(1))
    counts = torch.zeros(instances, items, dtype=torch.float64)
    return drawn, counts.scatter_add_(1, drawn, torch.ones(drawn.shape, dtype=torch.float64))


@dataclass(frozen=True)
class GivenNegatives:
    """Negatives that a test states itself, as counts [I, N]."""

    of_instances: torch.Tensor

    def counts(self, rows: slice) -> torch.Tensor:
        return self.of_instances[rows].clone()
