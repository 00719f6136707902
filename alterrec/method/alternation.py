"""AlterRec (arXiv 2402.08921, section 4): two uni-modal networks trained in turns, each fed by the other's predictions.

Repeat, the ID network first, switching every m_gap epochs:
    freeze the idle network and train the active one by cross-entropy against
        random negatives                                          in the first m_random epochs of the run,
        half random, half from the idle network's ranks k1..k2    afterwards;
    in the augmented form, the idle network's top p items are further labels, weighted by beta.
The score of an item is alpha * id + (1 - alpha) * text.

I instances of a batch, N items, T targets of the whole dataset.
"""

import logging
from collections.abc import Iterator
from itertools import count

import torch

from alterrec.engine.learner_interface import Epoch
from alterrec.engine.memory import rows_at_once
from alterrec.engine.windows import Batch, Windows
from alterrec.method.learners import NetworkLearner
from alterrec.method.losses import sampled_softmax
from alterrec.method.negatives import CountedOnce, HardNegatives, Negatives, RandomNegatives, window_bounds
from alterrec.method.networks import UniModalNetwork, full_precision
from alterrec.ranking.blending import blend
from alterrec.study.settings import AlterRecConfig

logger = logging.getLogger(__name__)


def alternation(config: AlterRecConfig) -> Iterator[Epoch]:
    """The epochs of a run, the ID network's first, until both networks have had theirs."""
    own = {"id": 0, "text": 0}
    for epoch in count():
        network = ("id", "text")[epoch // config.m_gap % 2]
        if own[network] == config.epochs:
            network = other(network)
        if own[network] == config.epochs:
            return
        own[network] += 1
        yield Epoch(network, own[network], mode(config, network, epoch))


def other(network: str) -> str:
    return "text" if network == "id" else "id"


def mode(config: AlterRecConfig, network: str, epoch: int) -> str:
    """What `network` learns from in the run's `epoch`, counted from 0."""
    if epoch < config.m_random or config.hard_negatives_for not in ("both", network):
        return "random"
    return "augmented" if config.augment else "hard"


class Alternating(NetworkLearner):
    """The two networks in turns. The idle one is frozen: only the active one's optimiser steps."""

    blend_parts = ("id", "text")

    def __init__(
        self, id_network: UniModalNetwork, text_network: UniModalNetwork, items: int, config: AlterRecConfig
    ):
        super().__init__({"id": id_network, "text": text_network})
        if config.choice == "separate":
            self.chosen_by = {f"{name}_hits20": (name,) for name in self.networks}
        self.items, self.config = items, config
        self.k1, self.k2 = window_bounds(config.k1, config.k2, items)
        if self.k2 < config.k2:
            logger.info("k2 = %d is cut to %d, half of the catalogue's %d items", config.k2, self.k2, items)
        # This blend selects the joint epoch. One that is to be chosen on validation is chosen after training.
        self.kind = "zscore" if config.blend == "validation" else config.blend
        self.alpha = 0.5 if config.alpha == "validation" else config.alpha
        self.positives: torch.Tensor | None = None

    def loss(self, batch: Batch, epoch: Epoch) -> torch.Tensor:
        active, idle = self.networks[epoch.network], self.networks[other(epoch.network)]
        negatives = self.negatives(idle, batch, epoch.mode)  # counts [i, N] of a block of instances
        label = self.labels(batch) if epoch.mode == "augmented" else batch.target  # [I]
        weight = self.weights(batch)  # [I], beta enters here
        return sampled_softmax(active, batch, label, weight, negatives)

    def negatives(self, idle: UniModalNetwork, batch: Batch, mode: str) -> Negatives:
        if mode == "random":
            drawn = RandomNegatives(len(batch), self.items, self.k2 - self.k1, batch.target.device)
        else:
            with torch.no_grad(), full_precision(batch.target):  # the ranks by which it is evaluated
                session_vectors, columns = idle.encode(batch)  # [I, d], [M, d]
                items = torch.arange(self.items, device=columns.device)
                drawn = HardNegatives(session_vectors, columns[idle.columns(items)], self.k1, self.k2)
        return CountedOnce(drawn) if self.config.negatives == "set" else drawn

    def labels(self, batch: Batch) -> torch.Tensor:
        """[I] the session's own next item in view 0, the other network's j-th best item in view j."""
        positive = self.positives[batch.instance].gather(1, (batch.view - 1).clamp(min=0)[:, None]).squeeze(1)
        return torch.where(batch.view == 0, batch.target, positive)

    def weights(self, batch: Batch) -> torch.Tensor:
        """[I] for the mean over the original instances plus beta times the mean over the augmented ones."""
        original = batch.view == 0
        return torch.where(original, batch.mean_over(original), self.config.beta * batch.mean_over(~original))

    def schedule(self, config):
        return alternation(self.config)

    def views(self, epoch):
        return 1 + self.config.p if epoch.mode == "augmented" else 1

    def pads_views(self, epoch):
        return epoch.mode == "augmented" and self.config.augmented_prefix == "padded"

    def steps(self, epoch, plain):
        return plain if self.config.augmented_epoch == "equal_steps" else None

    def batch_factor(self, epoch):
        return self.views(epoch) if self.config.augmented_epoch == "larger_batches" else 1

    @torch.no_grad()
    def start(self, epoch: Epoch, windows: Windows) -> None:
        """Before an augmented epoch, store the top p items of every training instance [T, p] by the idle network."""
        if epoch.mode != "augmented":
            return
        teacher = self.networks["id" if self.config.positives_from == "id" else other(epoch.network)]
        if self.positives is None:  # once: captured graphs read it where it is
            self.positives = windows.flat.new_zeros(len(windows.flat), self.config.p)
        for batch in windows.in_order(rows_at_once(self.items, windows.flat.device)):
            self.positives[batch.instance] = teacher(batch).topk(self.config.p, dim=1).indices

    def scores(self, batch):
        from_id, from_text = self.networks["id"](batch), self.networks["text"](batch)
        return {"model": blend(from_id, from_text, self.kind, self.alpha), "id": from_id, "text": from_text}
