"""Networks with their losses: one network alone, a fused network, or two networks under one loss.

Each is a learner as the engine expects it (alterrec/engine/learner_interface.py). I instances, N items, M columns.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from alterrec.engine.contract import Fitted, Task
from alterrec.engine.learner_interface import Epoch
from alterrec.engine.training_loop import train_learner
from alterrec.method.branches import Branches, as_vectors, gradient_norms, update_sizes
from alterrec.method.fusion import FusionNetwork
from alterrec.method.losses import full_softmax, sampled_softmax, softmax_loss
from alterrec.method.negatives import CountedOnce, RandomNegatives, window_bounds
from alterrec.method.networks import UniModalNetwork, full_precision, id_network, text_network
from alterrec.ranking.validation_hits import mean_hits
from alterrec.study.settings import NegativesConfig

PARTS = ("id", "text")
PartScores = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""Session vectors [I, d] and item vectors [N, d] of each part: their products are what it adds to the scores."""


class NetworkLearner(ABC):
    """What all learners of the suite share: a plain schedule, and the evaluation after every epoch."""

    blend_parts: tuple[str, str] | None = None
    mode = "full"

    def __init__(self, networks: dict[str, nn.Module]):
        self.networks = networks
        self.module = nn.ModuleDict(networks)
        self.chosen_by = {"hits20": tuple(networks)}
        self.weights_before: dict[str, torch.Tensor] = {}

    def schedule(self, config):
        (name,) = self.networks
        return [Epoch(name, number, self.mode) for number in range(1, config.epochs + 1)]

    def start(self, epoch, windows) -> None:
        self.weights_before = as_vectors(self.branches())

    def views(self, epoch) -> int:
        return 1

    def pads_views(self, epoch) -> bool:
        return False

    def steps(self, epoch, plain) -> int | None:
        return None

    def batch_factor(self, epoch) -> int:
        return 1

    @abstractmethod
    def loss(self, batch, epoch) -> torch.Tensor:
        """The mean loss of a batch."""

    def update(self, optimiser) -> None:
        optimiser.step()

    @abstractmethod
    def scores(self, batch) -> dict[str, torch.Tensor]:
        """[I, N] scores under "model" and under the name of each part."""

    def branches(self) -> Branches:
        """The weights of the branches that are measured after every epoch; none where networks train in turns."""
        return {}

    def id_share(self, batch) -> dict[str, float]:
        """For fusions: the ID part's share of the spread of scores, in [0, 1]."""
        return {}

    def evaluate(self, validation, sample) -> dict[str, float]:
        """Validation Hits@20 of the model and of its parts, and what is measured on the sample."""
        found = mean_hits(self.scores, validation)
        parts = {f"{part}_hits20": found[part] for part in PARTS if part in found}
        return {"hits20": found["model"]} | parts | self.measures(sample) | self.id_share(sample)

    def measures(self, sample) -> dict[str, float]:
        """Each part's cross-entropy over the whole catalogue; the gradient of the model's, and the epoch's updates."""
        branches = self.branches()
        with torch.set_grad_enabled(bool(branches)):
            scores = self.scores(sample)
            losses = {name: F.cross_entropy(values, sample.target) for name, values in scores.items()}
        of_parts = {f"{part}_loss": losses[part].item() for part in PARTS if part in losses}
        learned = gradient_norms(losses["model"], branches) | update_sizes(self.weights_before, branches)
        return of_parts | learned


class Single(NetworkLearner):
    """One uni-modal network under full softmax; `name` is "id" or "text"."""

    def __init__(self, network: UniModalNetwork, name: str):
        super().__init__({name: network})
        self.network, self.name = network, name

    def loss(self, batch, epoch):
        return full_softmax(self.network, batch)

    def branches(self):
        return {self.name: self.network.weights()}

    def scores(self, batch):
        scores = self.network(batch)
        return {"model": scores, self.name: scores}


class SampledSingle(Single):
    """One uni-modal network under the loss of AlterRec's random epochs: uniform negatives, as many as AlterRec draws."""

    mode = "random"

    def __init__(self, network: UniModalNetwork, name: str, items: int, config: NegativesConfig):
        super().__init__(network, name)
        self.items, self.config = items, config
        k1, k2 = window_bounds(config.k1, config.k2, items)
        self.draws = k2 - k1

    def loss(self, batch, epoch):
        drawn = RandomNegatives(len(batch), self.items, self.draws, batch.target.device)
        negatives = CountedOnce(drawn) if self.config.negatives == "set" else drawn
        return sampled_softmax(self.network, batch, batch.target, batch.mean_over(), negatives)


class FusionLearner(NetworkLearner):
    """A naive fusion: an ID and a text branch under one loss. A frozen branch goes on scoring, but learns no more."""

    def schedule(self, config):
        after = config.epochs if config.freeze == "none" else config.freeze_after
        modes = [
            f"frozen_{config.freeze}" if number > after else "full" for number in range(1, config.epochs + 1)
        ]
        return [Epoch("joint", number, mode) for number, mode in enumerate(modes, 1)]

    def loss(self, batch, epoch):
        return self.loss_and_parts(batch, epoch)[0]

    @abstractmethod
    def loss_and_parts(self, batch, epoch) -> tuple[torch.Tensor, PartScores]:
        """The mean loss of a batch, and the parts whose sum its scores are."""

    @abstractmethod
    def branch_modules(self) -> dict[str, nn.Module]:
        """What belongs to the ID branch alone and to the text branch alone."""

    def branches(self):
        return {part: module.weights() for part, module in self.branch_modules().items()}


def unless_frozen(part: str, epoch: Epoch, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The tensors that a branch made, cut from its parameters in an epoch in which it is frozen."""
    return tuple(each.detach() for each in tensors) if epoch.mode == f"frozen_{part}" else tensors


class Fused(FusionLearner):
    """An early fusion. A part is the network with the other modality's vectors set to their catalogue mean."""

    def __init__(self, network: FusionNetwork):
        super().__init__({"joint": network})
        self.network = network

    def loss_and_parts(self, batch, epoch):
        with full_precision(batch.tokens):
            e, x = self.network.modalities()
            (e,), (x,) = unless_frozen("id", epoch, e), unless_frozen("text", epoch, x)
            contributions = self.network.contributions(e, x)
            matrix = sum(contributions)
        states, _ = self.network.encode(batch, matrix)
        loss = softmax_loss(states, matrix, batch.target, batch.mean_over())
        return loss, {part: (states, own) for part, own in zip(PARTS, contributions, strict=True)}

    def scores(self, batch):
        matrices = self.network.cached(self.network.part_matrices)
        encoded = {name: self.network.encode(batch, matrix) for name, matrix in matrices.items()}
        return {name: states @ matrix.T for name, (states, matrix) in encoded.items()}

    def branch_modules(self):
        return {"id": self.network.id_vectors, "text": self.network.text_vectors}

    @torch.no_grad()
    def id_share(self, batch):
        contributions = self.network.contributions(*self.network.modalities())
        states, _ = self.network.encode(batch, sum(contributions))
        return id_share_of_spread(*(states @ part.T for part in contributions))


def fit_early_fusion(task: Task, merge: str, learner: Callable[..., Fused] = Fused) -> Fitted:
    """Train a network whose items are merged by `merge`: "sum", "concat" or "gate" (see FusionNetwork)."""
    items, config = task.dataset.catalogue_size, task.config

    def build():
        return learner(FusionNetwork(items, *task.text_tensors(), merge, config, config.id_dropout))

    return train_learner(build, task)


class Joint(FusionLearner):
    """AlterRec's two networks under one loss on their summed scores, which split exactly into an ID and a text part."""

    blend_parts = ("id", "text")

    def __init__(self, id_network: UniModalNetwork, text_network: UniModalNetwork):
        super().__init__({"joint": nn.ModuleDict({"id": id_network, "text": text_network})})
        self.id, self.text = id_network, text_network

    def loss_and_parts(self, batch, epoch):
        parts = self.parts(batch, epoch)
        states, matrix = (torch.cat(each, 1) for each in zip(*parts.values(), strict=True))
        return softmax_loss(states, matrix, batch.target, batch.mean_over()), parts

    def parts(self, batch, epoch) -> PartScores:
        """What each network adds to the scores."""
        id_states, e = unless_frozen("id", epoch, *self.id.encode(batch))
        text_states, columns = unless_frozen("text", epoch, *self.text.encode(batch))
        return {"id": (id_states, e), "text": (text_states, columns[self.text.column_of_item])}

    def scores(self, batch):
        from_id, from_text = self.id(batch), self.text(batch)
        return {"model": from_id + from_text, "id": from_id, "text": from_text}

    def branch_modules(self):
        return {"id": self.id, "text": self.text}

    @torch.no_grad()
    def id_share(self, batch):
        return id_share_of_spread(self.id(batch), self.text(batch))


def fit_score_fusion(task: Task, learner: Callable[..., Joint] = Joint) -> Fitted:
    """Train an ID and a text network under one loss on their summed scores."""
    items, config = task.dataset.catalogue_size, task.config

    def build():
        of_id = id_network(items, config, config.id_dropout)
        return learner(of_id, text_network(*task.text_tensors(), config.of_text_network()))

    return train_learner(build, task)


def id_share_of_spread(from_id: torch.Tensor, from_text: torch.Tensor) -> dict[str, float]:
    """The ID scores' share of the mean standard deviation of an instance's scores [I, N]."""
    of_id, of_text = (scores.std(dim=1, correction=0).mean() for scores in (from_id, from_text))
    return {"id_score_share": float(of_id / (of_id + of_text).clamp(min=1e-30))}
