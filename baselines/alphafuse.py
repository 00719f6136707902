"""AlphaFuse: item IDs are learned in the null space of the text vectors, so that they cannot change what the texts say.

Hu et al., AlphaFuse: learn ID embeddings for sequential recommendation in null space of language embeddings, SIGIR 2025
(arXiv 2504.19218). Reference implementation: github.com/Hugo-Chinn/AlphaFuse. The axes of the texts' covariance divide the d
dimensions in two: along the leading axes an item has its text's coordinates, standardised and frozen; the others, along
which texts hardly vary, belong to the IDs. ID coordinates start from N(0, 1), the variance of the texts' coordinates,
whatever `initialisation` says. It is expected to be near fusion_concat.

Departures: the loss is the softmax over the whole catalogue instead of 64 sampled negatives, of the same cosines; the text's
other coordinates are left out, where the program adds the IDs to them by default; the transformer is
the one of sasrec_softmax; there is no weight decay; the optimiser, the batches and the choice of the epoch are the suite's.
"""

from pydantic import Field

from alterrec.study.settings import SequenceConfig

version = 1
label = "AlphaFuse"
uses_text = True
space = {"null_share": {"low": 0.2, "high": 0.8}, "temperature": {"low": 0.02, "high": 0.2, "log": True}}


class Config(SequenceConfig):
    """The authors' settings."""

    dimension: int = Field(128, ge=2)
    heads: int = Field(1, ge=1)
    batch_size: int = Field(256, ge=1)
    null_share: float = Field(
        0.5, gt=0, lt=1, description="Share of the dimensions that belong to the IDs. Hu et al.: 64 of 128"
    )


def fit(task):
    import torch
    from torch import nn

    from alterrec.sequence_models.prefix_network import PrefixLearner, fit_prefix_network
    from alterrec.sequence_models.text_network import TextNetwork, cosines
    from alterrec.sequence_models.whitening import leading_coordinates

    class AlphaFuse(TextNetwork):
        def __init__(self, items, config):
            text, text_of_item = task.text_tensors()
            of_ids = max(1, round(config.null_share * config.dimension))
            of_texts = config.dimension - of_ids
            super().__init__(
                leading_coordinates(text, text_of_item, of_texts, standardised=True),
                text_of_item,
                config,
                stored=True,
            )
            self.temperature = config.temperature
            self.item = nn.Embedding(items, of_ids)

        def item_vectors(self):
            return torch.cat([self.text[self.text_of_item], self.item.weight], 1)

        def forward(self, batch):
            return cosines(*super().forward(batch), self.temperature)

    def learner(network):
        nn.init.normal_(network.item.weight)
        return PrefixLearner(network, "joint")

    return fit_prefix_network(task, AlphaFuse, learner)
