"""What models of item IDs from other papers share: free item vectors, and session vectors made from those of a prefix."""

from collections.abc import Callable

import torch
from torch import nn

from alterrec.engine.contract import Fitted, Task
from alterrec.engine.training_loop import train_learner
from alterrec.engine.windows import Batch
from alterrec.method.learners import NetworkLearner
from alterrec.method.losses import softmax_loss
from alterrec.method.networks import initialise
from alterrec.study.settings import SequenceConfig


class PrefixNetwork(nn.Module):
    """Item vectors, and session vectors from the items of a prefix. Their products are the scores.

    A model declares `session_vectors(items, length)`: the vectors [i, d] of the prefixes whose items are the first `length`
    [i] of each row of `items` [i, T]. A causal model may declare `states` instead and read the rows of a batch as they are,
    which costs less.
    """

    def __init__(self, items: int, config: SequenceConfig):
        super().__init__()
        self.item = nn.Embedding(items, config.dimension)

    def states(self, batch: Batch) -> torch.Tensor:
        """[I, d] the session vector of every instance."""
        return torch.cat([self.session_vectors(*block) for block in batch.prefix_rows()])

    def item_vectors(self) -> torch.Tensor:
        """[N, d]"""
        return self.item.weight

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Session vectors [I, d] and item vectors [N, d]."""
        matrix = self.item_vectors()
        return self.states(batch).to(matrix.dtype), matrix


class PrefixLearner(NetworkLearner):
    """A network of prefixes under the softmax over the whole catalogue. `modality` is "id", "text" or "joint"."""

    def __init__(self, network: nn.Module, modality: str = "id"):
        super().__init__({modality: network})
        self.network = network

    def loss(self, batch, epoch):
        states, matrix = self.network(batch)
        return softmax_loss(states, matrix, batch.target, batch.mean_over())

    def scores(self, batch):
        states, matrix = self.network(batch)
        return {"model": states @ matrix.T}


def fit_prefix_network(
    task: Task,
    network: Callable[[int, SequenceConfig], PrefixNetwork],
    learner: Callable[[PrefixNetwork], PrefixLearner] = PrefixLearner,
) -> Fitted:
    """Initialise `network` by the task's settings and train it as `learner` says."""

    def build():
        built = network(task.dataset.catalogue_size, task.config)
        initialise(built, task.config.dimension, task.config.initialisation)
        return learner(built)

    return train_learner(build, task)


def mean_loss(losses: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The mean of `losses` [I] over the instances of a batch."""
    return (losses * batch.mean_over()).sum().to(losses.dtype)


def filled(length: torch.Tensor, width: int) -> torch.Tensor:
    """[i, width] which positions of a row belong to its prefix of `length` [i] items."""
    return torch.arange(width, device=length.device) < length[:, None]


def at_last(hidden: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """[i, d] the states [i, T, d] at the last item of each prefix."""
    return hidden[torch.arange(len(hidden), device=hidden.device), length - 1]


def with_bias(
    states: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The vectors with one more dimension, in which their products gain the `bias` [N] of the item."""
    return torch.cat([states, torch.ones_like(states[:, :1])], 1), torch.cat([matrix, bias[:, None]], 1)
