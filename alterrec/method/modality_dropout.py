"""Modality dropout of score fusion: in training, some instances are scored by one network alone.

Neverova, Wolf, Taylor and Nebout, ModDrop: adaptive multi-modal gesture recognition, TPAMI 2016 (arXiv 1501.00102). Each
network must then predict without the other one, so the one that learns more slowly is still trained.

Departure from the paper: there, every modality is dropped on its own; here an instance never loses both.
"""

import torch

from alterrec.method.learners import Joint
from alterrec.method.networks import UniModalNetwork


class ModalityDropoutJoint(Joint):
    """Score fusion that drops one network's scores from an instance with probability `rate`, either one equally often."""

    def __init__(self, id_network: UniModalNetwork, text_network: UniModalNetwork, rate: float):
        super().__init__(id_network, text_network)
        self.rate = rate

    def parts(self, batch, epoch):
        found = super().parts(batch, epoch)
        kept = kept_modalities(len(batch), self.rate, batch.target.device)  # [2, I]
        return {
            part: (states * own[:, None], matrix)
            for (part, (states, matrix)), own in zip(found.items(), kept, strict=True)
        }


def kept_modalities(instances: int, rate: float, device: torch.device) -> torch.Tensor:
    """[2, I] False where the first or the second modality is dropped, each with probability rate / 2, never both."""
    draw = torch.rand(instances, device=device)
    return torch.stack([draw >= rate / 2, draw < 1 - rate / 2])
