"""What the training loop trains: the interface between the engine and the method.

A learner says which network each epoch trains, gives the loss of a batch, and evaluates itself on validation. The
engine knows nothing more of the method. The learners of the suite are in alterrec/method/.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from alterrec.engine.windows import Batch, Windows
from alterrec.study.settings import NeuralConfig


@dataclass(frozen=True)
class Epoch:
    """One epoch of a run: the `network` that it trains, its number among that network's epochs, and its mode.

    `network` is a key of `Learner.networks`: "id", "text" or "joint". `mode` is what the epoch learns from: "full" (the
    softmax over the whole catalogue), "random", "hard" or "augmented" (see alterrec/method/alternation.py), "frozen_id" or
    "frozen_text" (the softmax over the whole catalogue, with one branch of a fusion frozen), "pretrain" (other tasks than the
    next item) or "finetune" (the softmax over the whole catalogue after pre-training).
    """

    network: str
    number: int
    mode: str = "full"


class Learner(Protocol):
    """One or several networks with their losses. `module` holds all of `networks`, by name."""

    networks: dict[str, nn.Module]
    module: nn.Module
    chosen_by: dict[str, tuple[str, ...]]
    """The epoch that is kept: a column of the history, and the networks whose weights its best value keeps."""

    def schedule(self, config: NeuralConfig) -> Iterable[Epoch]:
        """The epochs of a run, in order."""

    def start(self, epoch: Epoch, windows: Windows) -> None:
        """Prepare an epoch. It is called before each one, with the module in evaluation mode."""

    def views(self, epoch: Epoch) -> int:
        """How many labels each instance has in this epoch: 1, or more with augmented positives."""

    def pads_views(self, epoch: Epoch) -> bool:
        """Whether this epoch reads an instance under its further labels padded (`augmented_prefix: padded`)."""

    def steps(self, epoch: Epoch, plain: int) -> int | None:
        """Optimiser steps of an epoch, given those of a `plain` one; None for all instances under all labels."""

    def batch_factor(self, epoch: Epoch) -> int:
        """How many times `batch_size` instances a batch of this epoch has."""

    def loss(self, batch: Batch, epoch: Epoch) -> torch.Tensor:
        """The mean loss of a batch."""

    def update(self, optimiser: torch.optim.Optimizer) -> None:
        """Take one optimiser step by the gradients of the last loss. It must be fit for a CUDA graph."""

    def scores(self, batch: Batch) -> dict[str, torch.Tensor]:
        """[I, N] scores under "model" and under the name of each part."""

    def evaluate(self, validation: Windows, sample: Batch) -> dict[str, float]:
        """Columns of the epoch's history; among them those of `chosen_by`."""
