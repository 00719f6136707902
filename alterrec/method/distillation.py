"""Mutual distillation: the ID and the text network train together, each also on the other's predictions.

Zhang, Xiang, Hospedales and Lu, Deep mutual learning, CVPR 2018 (arXiv 1706.00384). The loss of a network is its own
cross-entropy plus the divergence KL(other || own) of the two distributions over the catalogue, in both directions. The other
network's distribution is a constant of this loss.

Departures from the paper: both networks step at once, each on what the other predicted before the step, where the paper
steps them one after the other; and the distributions may have a temperature (Hinton et al., arXiv 1503.02531).
"""

from itertools import permutations

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from alterrec.engine.memory import rows_at_once
from alterrec.method.learners import NetworkLearner
from alterrec.method.losses import softmax_loss
from alterrec.method.networks import UniModalNetwork
from alterrec.ranking.blending import blend

Vectors = tuple[torch.Tensor, torch.Tensor]
"""Session vectors [I, d] and item vectors [N, d] of a network: their products are its scores."""


class MutualLearner(NetworkLearner):
    """Two networks in one step. Their blended scores choose the epoch; `strength` weights the divergence."""

    blend_parts = ("id", "text")

    def __init__(
        self,
        id_network: UniModalNetwork,
        text_network: UniModalNetwork,
        strength: float,
        temperature: float,
    ):
        super().__init__({"joint": nn.ModuleDict({"id": id_network, "text": text_network})})
        self.id, self.text = id_network, text_network
        self.strength, self.temperature = strength, temperature

    def loss(self, batch, epoch):
        text_states, columns = self.text.encode(batch)
        networks = self.id.encode(batch), (text_states, columns[self.text.column_of_item])
        weight = batch.mean_over()
        return sum(
            softmax_loss(*own, batch.target, weight)
            + self.strength * distillation_loss(own, other, weight, self.temperature)
            for own, other in permutations(networks)
        )

    def scores(self, batch):
        from_id, from_text = self.id(batch), self.text(batch)
        return {"model": blend(from_id, from_text, "zscore", 0.5), "id": from_id, "text": from_text}


def distillation_loss(
    student: Vectors, teacher: Vectors, weight: torch.Tensor, temperature: float
) -> torch.Tensor:
    """temperature^2 * sum_i weight_i * KL(teacher_i || student_i), of the softmax of the scores over the temperature.

    The scores of a block of instances are computed again for the gradient, so those of one block exist at a time.
    """
    states, matrix = student
    teacher_states, teacher_matrix = (each.detach() for each in teacher)
    rows = rows_at_once(len(matrix), states.device)

    def of_block(states, matrix, teacher_states, weight):
        own = F.log_softmax(states @ matrix.T / temperature, dim=1)
        others = F.log_softmax(teacher_states @ teacher_matrix.T / temperature, dim=1)
        return (weight * F.kl_div(own, others, reduction="none", log_target=True).sum(1)).sum()

    blocks = zip(
        states.split(rows), teacher_states.split(rows), weight.to(states.dtype).split(rows), strict=True
    )
    losses = [
        checkpoint(of_block, own, matrix, others, own_weight, use_reentrant=False, preserve_rng_state=False)
        for own, others, own_weight in blocks
    ]
    return temperature**2 * sum(losses)
