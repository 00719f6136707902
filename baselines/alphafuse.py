"""AlphaFuse: item IDs are added to the text coordinates of least variance, so that they leave the leading ones as they are.

Hu et al., AlphaFuse: learn ID embeddings for sequential recommendation in null space of language embeddings, SIGIR 2025
(arXiv 2504.19218). Reference implementation: github.com/Hugo-Chinn/AlphaFuse. A text has d coordinates along the leading axes
of the texts' covariance, standardised and frozen. Along the last of them, where texts hardly vary before they are
standardised, an item's own vector is added. It is expected to be near fusion_concat.

Departures: the loss is the softmax over the whole catalogue instead of 64 sampled negatives, of the same cosines; the
transformer is the one of sasrec_softmax; there is no weight decay; the optimiser, the batches and the choice of the epoch are
the suite's.
"""

from typing import Literal

from pydantic import Field

from alterrec.study.settings import SequenceConfig

version = 2
label = "AlphaFuse"
uses_text = True
space = {
    "null_share": {"low": 0.2, "high": 0.8},
    "id_initialisation": ["normal", "zeros"],
    "temperature": {"low": 0.02, "high": 0.2, "log": True},
}


class Config(SequenceConfig):
    """The authors' settings."""

    dimension: int = Field(128, ge=2)
    heads: int = Field(1, ge=1)
    batch_size: int = Field(256, ge=1)
    null_share: float = Field(
        0.5, gt=0, lt=1, description="Share of the dimensions that the IDs change. Hu et al.: 64 of 128"
    )
    id_initialisation: Literal["normal", "zeros"] = Field(
        "normal",
        description="'normal' draws the ID vectors from N(0, 1), the variance of the texts' coordinates, as Hu et al.'s "
        "program does by default. 'zeros' starts every item at its text",
    )


def fit(task):
    from torch import nn
    from torch.nn import functional as F

    from alterrec.sequence_models.prefix_network import PrefixLearner, fit_prefix_network
    from alterrec.sequence_models.text_network import TextNetwork, cosines
    from alterrec.sequence_models.whitening import leading_coordinates

    class AlphaFuse(TextNetwork):
        def __init__(self, items, config):
            text, text_of_item = task.text_tensors()
            d = config.dimension
            coordinates = leading_coordinates(text, text_of_item, d, standardised=True)
            super().__init__(coordinates, text_of_item, config, stored=True)
            self.temperature = config.temperature
            self.item = nn.Embedding(items, max(1, round(config.null_share * d)))

        def item_vectors(self):
            of_texts = self.text[self.text_of_item]
            return of_texts + F.pad(self.item.weight, (of_texts.shape[1] - self.item.embedding_dim, 0))

        def forward(self, batch):
            return cosines(*super().forward(batch), self.temperature)

    def learner(network):
        start = {"normal": nn.init.normal_, "zeros": nn.init.zeros_}[task.config.id_initialisation]
        start(network.item.weight)
        return PrefixLearner(network, "joint")

    return fit_prefix_network(task, AlphaFuse, learner)
