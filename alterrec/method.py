"""AlterRec (arXiv 2402.08921, section 4): two uni-modal networks trained in turns, each fed by the other's predictions.

repeat, ID first, switching every m_gap epochs:
    the idle network, frozen, ranks the catalogue for every training instance
    train the active one by cross-entropy against
        random negatives                          during the first m_random epochs,
        half random, half ranks k1..k2 of the idle one  afterwards,
    and, augmented, on the idle network's top p items as further labels, weighted by beta
score = alpha * id + (1 - alpha) * text
"""

import logging
from collections.abc import Callable, Iterator
from itertools import count

import torch

from alterrec.batches import Batch, Windows
from alterrec.blending import blend
from alterrec.config import AlterRecConfig
from alterrec.learners import Epoch, Learner
from alterrec.memory import rows_at_once
from alterrec.negatives import draw_hard, draw_uniform, window_bounds
from alterrec.networks import UniModalNetwork, unrounded
from alterrec.objectives import sampled_softmax

logger = logging.getLogger(__name__)


def alternation(config: AlterRecConfig) -> Iterator[Epoch]:
    """The epochs of a run, ID first, until both networks have had theirs."""
    own = {"id": 0, "text": 0}
    for epoch in count():
        network = ("id", "text")[epoch // config.m_gap % 2]
        if own[network] == config.epochs:
            network = other(network)
        if own[network] == config.epochs:
            return
        own[network] += 1
        yield Epoch(network, own[network], objective(config, network, epoch))


def other(network: str) -> str:
    return "text" if network == "id" else "id"


def objective(config: AlterRecConfig, network: str, epoch: int) -> str:
    """What `network` learns from in the run's `epoch`, counted from 0."""
    if epoch < config.m_random or config.taught not in ("both", network):
        return "random"
    return "augmented" if config.augment else "hard"


class Alternating(Learner):
    """The two networks in turns; the idle one is frozen because only the active one's optimiser steps."""

    blend_parts = ("id", "text")

    def __init__(
        self, id_network: UniModalNetwork, text_network: UniModalNetwork, items: int, config: AlterRecConfig
    ):
        super().__init__({"id": id_network, "text": text_network})
        self.items, self.config = items, config
        self.k1, self.k2 = window_bounds(config.k1, config.k2, items)
        if self.k2 < config.k2:
            logger.info("k2 = %d is cut to %d, half of the catalogue's %d items", config.k2, self.k2, items)
        # the blend that selects the epoch; one that is to be chosen on validation is chosen after training
        self.kind = "zscore" if config.blend == "validation" else config.blend
        self.alpha = 0.5 if config.alpha == "validation" else config.alpha
        self.positives: torch.Tensor | None = None

    def schedule(self, config):
        return alternation(self.config)

    def views(self, epoch):
        return 1 + self.config.p if epoch.objective == "augmented" else 1

    def steps(self, epoch, plain):
        return plain if self.config.augmented_epoch == "equal_steps" else None

    def start(self, epoch: Epoch, windows: Windows) -> None:
        """At a switch to augmented training, the teacher's top p items of every training instance [T, p]."""
        if epoch.objective != "augmented":
            return
        teacher = self.networks["id" if self.config.positives_from == "id" else other(epoch.network)]
        if self.positives is None:  # once: captured graphs read it where it is
            self.positives = windows.flat.new_zeros(len(windows.flat), self.config.p)
        with torch.no_grad():
            for batch in windows.in_order(rows_at_once(self.items, windows.flat.device)):
                self.positives[batch.instance] = teacher(batch).topk(self.config.p, dim=1).indices

    def loss(self, batch: Batch, epoch: Epoch) -> torch.Tensor:
        network = self.networks[epoch.network]
        negatives = self.negatives(batch, epoch)
        if self.config.negatives == "set":
            multiset, negatives = negatives, lambda part: multiset(part).clamp_(max=1.0)
        label = self.labels(batch) if epoch.objective == "augmented" else batch.target
        return sampled_softmax(network, batch, label, self.weights(batch), negatives)

    def weights(self, batch: Batch) -> torch.Tensor:
        """[I] weight of each instance: the mean over the originals plus beta times the mean over the augmented."""
        original = batch.view == 0
        return torch.where(original, batch.mean_over(original), self.config.beta * batch.mean_over(~original))

    def negatives(self, batch: Batch, epoch: Epoch) -> Callable[[slice], torch.Tensor]:
        """A function from a slice of the instances to how often each item is drawn as a negative of each [i, N]."""
        if epoch.objective == "random":
            size, draws = len(batch), self.k2 - self.k1
            return lambda part: draw_uniform(len(range(size)[part]), self.items, draws, batch.target.device)
        idle = self.networks[other(epoch.network)]
        with torch.no_grad(), unrounded(batch.target):
            states, columns = idle.factors(batch)  # its ranks are those that it is evaluated by
            matrix = columns[idle.columns(torch.arange(self.items, device=columns.device))]
        return lambda part: draw_hard(states[part] @ matrix.T, self.k1, self.k2)

    def labels(self, batch: Batch) -> torch.Tensor:
        """[I] the session's own next item in view 0, the teacher's j-th best item in view j."""
        positive = self.positives[batch.instance].gather(1, (batch.view - 1).clamp(min=0)[:, None]).squeeze(1)
        return torch.where(batch.view == 0, batch.target, positive)

    def scores(self, batch):
        from_id, from_text = self.networks["id"](batch), self.networks["text"](batch)
        return {"model": blend(from_id, from_text, self.kind, self.alpha), "id": from_id, "text": from_text}
