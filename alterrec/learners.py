"""What the training loop trains: one network alone, a fused network, or two networks under one loss.

A learner says which network each epoch trains, gives the loss of a batch, and scores the catalogue, parts included.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from alterrec.batches import Batch
from alterrec.config import NeuralConfig
from alterrec.networks import FusionNetwork, UniModalNetwork, session_states
from alterrec.objectives import full_softmax, softmax_loss


@dataclass(frozen=True)
class Epoch:
    """One epoch: the `network` it trains ("id", "text" or "joint"), the how-manieth of that network, the objective."""

    network: str
    number: int
    objective: str = "full"


class Learner(ABC):
    """The interface, and what most learners share. `networks` maps the names used in epochs to trained modules."""

    blend_parts: tuple[str, str] | None = None

    def __init__(self, networks: dict[str, nn.Module]):
        self.networks = networks
        self.module = nn.ModuleDict(networks)

    def schedule(self, config: NeuralConfig) -> Iterable[Epoch]:
        (name,) = self.networks
        return [Epoch(name, number) for number in range(1, config.epochs + 1)]

    def start(self, epoch: Epoch, windows) -> None:  # noqa: B027 - most learners have nothing to prepare
        """Called before an epoch; the module is in evaluation mode."""

    def views(self, epoch: Epoch) -> int:
        """How many targets each window has in this epoch: 1, or more with augmented positives."""
        return 1

    def steps(self, epoch: Epoch, plain: int) -> int | None:
        """Optimiser steps of an epoch whose plain pass has `plain`; None for one pass over all instances."""
        return None

    @abstractmethod
    def loss(self, batch: Batch, epoch: Epoch) -> torch.Tensor:
        """The mean loss of a batch."""

    @abstractmethod
    def scores(self, batch: Batch) -> dict[str, torch.Tensor]:
        """[I, N] scores under "model" and each part's name."""

    def shares(self, batch: Batch) -> dict[str, float]:
        """The ID part's share of gradient and score norm, for fusions."""
        return {}


class Single(Learner):
    """One uni-modal network under full softmax; `name` is "id" or "text"."""

    def __init__(self, network: UniModalNetwork, name: str):
        super().__init__({name: network})
        self.network, self.name = network, name

    def loss(self, batch, epoch):
        return full_softmax(self.network, batch)

    def scores(self, batch):
        scores = self.network(batch)
        return {"model": scores, self.name: scores}


class Fused(Learner):
    """A naive fusion. A part is the network with the other modality's vectors set to their catalogue mean."""

    def __init__(self, network: FusionNetwork):
        super().__init__({"joint": network})
        self.network = network

    def loss(self, batch, epoch):
        return softmax_loss(*self.network.factors(batch), batch.target, batch.mean_over())

    def scores(self, batch):
        matrices = self.network.kept(self.network.part_matrices)
        factors = {name: self.network.factors(batch, matrix) for name, matrix in matrices.items()}
        return {name: states @ matrix.T for name, (states, matrix) in factors.items()}

    def shares(self, batch):
        e, x = self.network.modalities()
        states, matrix = self.network.factors(batch, sum(self.network.contributions(e, x)))
        loss = F.cross_entropy(states @ matrix.T, batch.target)
        gradients = torch.autograd.grad(loss, (e, x))
        with torch.no_grad():
            parts = self.network.contributions(e, x)
            states = session_states(self.network.encoder, sum(parts), batch.tokens, batch)
            spread = [(states @ part.T).std(dim=1, correction=0).mean() for part in parts]
        return {
            "id_gradient_share": id_share(*(g.norm() for g in gradients)),
            "id_score_share": id_share(*spread),
        }


class Joint(Learner):
    """AlterRec's two networks under one loss on their summed scores, which split exactly into an ID and a text part."""

    blend_parts = ("id", "text")

    def __init__(self, id_network: UniModalNetwork, text_network: UniModalNetwork):
        super().__init__({"joint": nn.ModuleDict({"id": id_network, "text": text_network})})
        self.id, self.text = id_network, text_network

    def loss(self, batch, epoch):
        id_states, e = self.id.factors(batch)
        text_states, columns = self.text.factors(batch)
        x = columns[self.text.column_of_item]
        states, matrix = torch.cat([id_states, text_states], 1), torch.cat([e, x], 1)
        return softmax_loss(states, matrix, batch.target, batch.mean_over())

    def scores(self, batch):
        from_id, from_text = self.id(batch), self.text(batch)
        return {"model": from_id + from_text, "id": from_id, "text": from_text}

    def shares(self, batch):
        e, columns = self.id.vectors(), self.text.vectors()
        x = columns[self.text.column_of_item]
        from_id = self.id.column_scores(batch, e)
        states = session_states(self.text.encoder, x, batch.tokens, batch)
        from_text = states @ x.T / self.text.temperature
        gradients = torch.autograd.grad(F.cross_entropy(from_id + from_text, batch.target), (e, x))
        spread = [scores.detach().std(dim=1, correction=0).mean() for scores in (from_id, from_text)]
        return {
            "id_gradient_share": id_share(*(g.norm() for g in gradients)),
            "id_score_share": id_share(*spread),
        }


def id_share(from_id: torch.Tensor, from_text: torch.Tensor) -> float:
    return float(from_id / (from_id + from_text).clamp(min=1e-30))
