"""On-the-fly gradient modulation (OGM-GE) of a fusion: the branch that leads is slowed down, and noise is added.

Peng, Wei, Deng, Wang and Hu, Balanced multimodal learning via on-the-fly gradient modulation, CVPR 2022 (arXiv
2203.15332). In each step a branch leads by ratio = (sum over the batch of the probability that its own score gives the
target) / (the same of the other branch). Its step is multiplied by 1 - tanh(strength * ratio) if ratio > 1; the other's is
not changed. The generalisation enhancement (GE) adds Gaussian noise to both.

Departures from the paper: there, a step is the gradient of stochastic gradient descent, and the noise has the standard
deviation of the gradient. Adam divides a factor of the gradient out again, so here factor and noise apply to the step that
Adam takes: to the change of the branch's parameters, with the standard deviation of that change. Noise is added to all
parameters of a branch, not to convolutions only, and in all epochs.
"""

import torch
from torch import nn

from alterrec.engine.memory import rows_at_once
from alterrec.engine.windows import Batch
from alterrec.method.learners import Fused, FusionLearner, Joint, PartScores


class Modulated(FusionLearner):
    """A fusion under OGM-GE, or under OGM alone without `noise`. `strength` is the paper's alpha."""

    def __init__(self, *networks: nn.Module, strength: float, noise: bool):
        super().__init__(*networks)
        self.strength, self.noise = strength, noise
        self.factors: dict[str, torch.Tensor] = {}

    def loss(self, batch, epoch):
        loss, parts = self.loss_and_parts(batch, epoch)
        self.factors = step_factors(parts, batch, self.strength)
        return loss

    @torch.no_grad()
    def update(self, optimiser):
        parameters = {part: [*module.parameters()] for part, module in self.branch_modules().items()}
        before = {part: [each.clone() for each in own] for part, own in parameters.items()}
        optimiser.step()
        for part, own in parameters.items():
            for parameter, old in zip(own, before[part], strict=True):
                step = parameter - old
                parameter.copy_(old + self.factors[part] * step)
                if self.noise:
                    parameter.add_(torch.randn_like(step) * step.std())


class ModulatedJoint(Modulated, Joint):
    """Score fusion under OGM-GE."""


class ModulatedFused(Modulated, Fused):
    """An early fusion under OGM-GE; the parts' scores are the products of the session vector with what each branch adds."""


@torch.no_grad()
def step_factors(parts: PartScores, batch: Batch, strength: float) -> dict[str, torch.Tensor]:
    """The factor of each branch's step, in [0, 1]; only the factor of the branch that leads is below 1."""
    weight = batch.mean_over()
    trust = {part: weight @ target_probabilities(*own, batch.target).double() for part, own in parts.items()}
    ratio = {"id": trust["id"] / trust["text"], "text": trust["text"] / trust["id"]}
    return {part: torch.where(r > 1, 1 - torch.tanh(strength * r), 1) for part, r in ratio.items()}


def target_probabilities(states: torch.Tensor, matrix: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """[I] softmax probability of each target under the scores states [I, d] @ matrix [N, d]^T."""
    rows = rows_at_once(len(matrix), states.device)
    blocks = zip(states.split(rows), target.split(rows), strict=True)
    return torch.cat([(block @ matrix.T).softmax(1).gather(1, own[:, None])[:, 0] for block, own in blocks])
