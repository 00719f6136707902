"""Networks with their losses: one network alone, a fused network, or two networks under one loss.

Each is a learner as the engine expects it (alterrec/engine/learner_interface.py). I instances, N items, M columns.
"""

from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.nn import functional as F

from alterrec.engine.contract import Fitted, Task
from alterrec.engine.learner_interface import Epoch
from alterrec.engine.training_loop import train_learner
from alterrec.method.fusion import FusionNetwork
from alterrec.method.losses import full_softmax, sampled_softmax, softmax_loss
from alterrec.method.negatives import CountedOnce, RandomNegatives, window_bounds
from alterrec.method.networks import UniModalNetwork, session_vectors
from alterrec.ranking.validation_hits import mean_hits
from alterrec.study.settings import NegativesConfig

PARTS = ("id", "text")


class NetworkLearner(ABC):
    """What all learners of the suite share: a plain schedule, and the evaluation after every epoch."""

    blend_parts: tuple[str, str] | None = None
    mode = "full"

    def __init__(self, networks: dict[str, nn.Module]):
        self.networks = networks
        self.module = nn.ModuleDict(networks)
        self.chosen_by = {"hits20": tuple(networks)}

    def schedule(self, config):
        (name,) = self.networks
        return [Epoch(name, number, self.mode) for number in range(1, config.epochs + 1)]

    def start(self, epoch, windows) -> None:  # noqa: B027 - most learners have nothing to prepare
        """Nothing."""

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

    @abstractmethod
    def scores(self, batch) -> dict[str, torch.Tensor]:
        """[I, N] scores under "model" and under the name of each part."""

    def id_shares(self, batch) -> dict[str, float]:
        """For fusions: the ID part's share of the gradient and of the spread of scores, in [0, 1]."""
        return {}

    def evaluate(self, validation, sample) -> dict[str, float]:
        """Validation Hits@20 of the model and of its parts; on the sample the parts' losses and the ID part's shares."""
        found = mean_hits(self.scores, validation)
        parts = {f"{part}_hits20": found[part] for part in PARTS if part in found}
        return {"hits20": found["model"]} | parts | self.part_losses(sample) | self.id_shares(sample)

    @torch.no_grad()
    def part_losses(self, sample) -> dict[str, float]:
        """Cross-entropy over the whole catalogue of each part alone."""
        scores = self.scores(sample)
        parts = [part for part in PARTS if part in scores]
        return {f"{part}_loss": float(F.cross_entropy(scores[part], sample.target)) for part in parts}


class Single(NetworkLearner):
    """One uni-modal network under full softmax; `name` is "id" or "text"."""

    def __init__(self, network: UniModalNetwork, name: str):
        super().__init__({name: network})
        self.network, self.name = network, name

    def loss(self, batch, epoch):
        return full_softmax(self.network, batch)

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


class Fused(NetworkLearner):
    """An early fusion. A part is the network with the other modality's vectors set to their catalogue mean."""

    def __init__(self, network: FusionNetwork):
        super().__init__({"joint": network})
        self.network = network

    def loss(self, batch, epoch):
        return softmax_loss(*self.network.encode(batch), batch.target, batch.mean_over())

    def scores(self, batch):
        matrices = self.network.cached(self.network.part_matrices)
        encoded = {name: self.network.encode(batch, matrix) for name, matrix in matrices.items()}
        return {name: states @ matrix.T for name, (states, matrix) in encoded.items()}

    def id_shares(self, batch):
        e, x = self.network.modalities()
        states, matrix = self.network.encode(batch, sum(self.network.contributions(e, x)))
        loss = F.cross_entropy(states @ matrix.T, batch.target)
        gradients = torch.autograd.grad(loss, (e, x))
        with torch.no_grad():
            parts = self.network.contributions(e, x)
            states = session_vectors(self.network.encoder, sum(parts), batch.tokens, batch)
            spread = [(states @ part.T).std(dim=1, correction=0).mean() for part in parts]
        return {
            "id_gradient_share": id_share(*(g.norm() for g in gradients)),
            "id_score_share": id_share(*spread),
        }


def fit_early_fusion(task: Task, merge: str) -> Fitted:
    """Train a network whose items are merged by `merge`: "sum", "concat" or "gate" (see FusionNetwork)."""
    items, config = task.dataset.catalogue_size, task.config
    return train_learner(lambda: Fused(FusionNetwork(items, *task.text_tensors(), merge, config)), task)


class Joint(NetworkLearner):
    """AlterRec's two networks under one loss on their summed scores, which split exactly into an ID and a text part."""

    blend_parts = ("id", "text")

    def __init__(self, id_network: UniModalNetwork, text_network: UniModalNetwork):
        super().__init__({"joint": nn.ModuleDict({"id": id_network, "text": text_network})})
        self.id, self.text = id_network, text_network

    def loss(self, batch, epoch):
        id_states, e = self.id.encode(batch)
        text_states, columns = self.text.encode(batch)
        x = columns[self.text.column_of_item]
        states, matrix = torch.cat([id_states, text_states], 1), torch.cat([e, x], 1)
        return softmax_loss(states, matrix, batch.target, batch.mean_over())

    def scores(self, batch):
        from_id, from_text = self.id(batch), self.text(batch)
        return {"model": from_id + from_text, "id": from_id, "text": from_text}

    def id_shares(self, batch):
        e, columns = self.id.vectors(), self.text.vectors()
        x = columns[self.text.column_of_item]
        from_id = self.id.column_scores(batch, e)
        states = session_vectors(self.text.encoder, x, batch.tokens, batch)
        from_text = states @ x.T / self.text.temperature
        gradients = torch.autograd.grad(F.cross_entropy(from_id + from_text, batch.target), (e, x))
        spread = [scores.detach().std(dim=1, correction=0).mean() for scores in (from_id, from_text)]
        return {
            "id_gradient_share": id_share(*(g.norm() for g in gradients)),
            "id_score_share": id_share(*spread),
        }


def id_share(from_id: torch.Tensor, from_text: torch.Tensor) -> float:
    return float(from_id / (from_id + from_text).clamp(min=1e-30))
