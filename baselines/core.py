"""CORE: a session is a weighted mean of its own items' vectors, so that sessions and items lie in one space.

Hou, Hu, Zhang and Zhao, CORE: simple and effective session-based recommendation within consistent representation space,
SIGIR 2022 (arXiv 2204.11067), the variant with a transformer. Reference implementation: RecBole 1.2.1, by the authors. The
transformer gives the weights only. Scores are cosines over a temperature, and item vectors have dropout on both sides. It
is expected to be above SASRec on short sessions.

Departures: the feed-forward layer has width 4d instead of 256; the optimiser, the batches and the choice of the epoch are
the suite's.
"""

from pydantic import Field

from alterrec.study.settings import Dropout, SequenceConfig, SequenceInitialisation

version = 1
label = "CORE"
space = {"item_dropout": {"low": 0.0, "high": 0.5}, "temperature": {"low": 0.01, "high": 0.2, "log": True}}


class Config(SequenceConfig):
    """The authors' settings."""

    dimension: int = Field(100, ge=2)
    dropout: Dropout = Field(0.5, description="Dropout probability of the transformer")
    item_dropout: Dropout = Field(
        0.2, description="Dropout probability of item vectors, in the session and in the catalogue"
    )
    temperature: float = Field(0.07, gt=0, description="What cosines are divided by")
    initialisation: SequenceInitialisation = "authors"


def fit(task):
    import torch
    from torch import nn
    from torch.nn import functional as F

    from alterrec.sequence_models.prefix_network import PrefixNetwork, filled, fit_prefix_network
    from alterrec.sequence_models.transformer import Transformer

    class CORE(PrefixNetwork):
        def __init__(self, items, config):
            super().__init__(items, config)
            self.temperature = config.temperature
            self.encoder = Transformer(config, config.max_length)
            self.weight = nn.Linear(config.dimension, 1)
            self.item_dropout = nn.Dropout(config.item_dropout)

        def session_vectors(self, items, length):
            vectors = self.item_dropout(self.item(items))  # [i, T, d]
            logits = self.weight(self.encoder(vectors, length)).squeeze(2)
            weight = logits.masked_fill(~filled(length, items.shape[1]), -torch.inf).softmax(1)
            return F.normalize((weight[:, :, None] * vectors).sum(1), dim=1) / self.temperature

        def item_vectors(self):
            return F.normalize(self.item_dropout(self.item.weight), dim=1)

    return fit_prefix_network(task, CORE)
