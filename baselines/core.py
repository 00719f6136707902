"""CORE: a session is a weighted mean of its own items' vectors, so that sessions and items lie in one space.

Hou, Hu, Zhang and Zhao, CORE: simple and effective session-based recommendation within consistent representation space, SIGIR
2022 (arXiv 2204.11067), the variant with a transformer. Reference implementations: RecBole 1.2.1, which the paper's group
wrote, and github.com/RUCAIBox/CORE. The transformer gives the weights only. Scores are cosines over a temperature, and item
vectors have dropout on both sides. It is expected to be above SASRec as published on short sessions.

Departures: one `item_dropout` serves session and catalogue, which have one each in the programs, both 0.2; the first weights
are uniform as in RecBole, where the authors' own program draws those of the transformer from N(0, 0.02^2); the feed-forward
layer has width 4d instead of 256; the optimiser, the batches and the choice of the epoch are the suite's.
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
    from functools import partial
    from math import sqrt

    import torch
    from torch import nn
    from torch.nn import functional as F

    from alterrec.method.networks import causal_attention
    from alterrec.sequence_models.prefix_network import PrefixNetwork, fit_prefix_network
    from alterrec.sequence_models.transformer import Transformer

    class CORE(PrefixNetwork):
        def __init__(self, items, config):
            super().__init__(items, config)
            self.temperature = config.temperature
            self.encoder = Transformer(config, config.max_length)
            self.weight = nn.Linear(config.dimension, 1)
            self.item_dropout = nn.Dropout(config.item_dropout)

        def states(self, batch):
            vectors = self.item_dropout(self.item(batch.tokens))  # [P, d]
            attention = partial(causal_attention, layout=batch.layout)
            states = self.encoder.through_blocks(vectors, batch.layout.place, attention, None)
            means = weighted_means(vectors, self.weight(states).squeeze(1), attention)
            return F.normalize(means.index_select(0, batch.state), dim=1) / self.temperature

        def item_vectors(self):
            return F.normalize(self.item_dropout(self.item.weight), dim=1)

    def weighted_means(vectors, logits, attention):
        """[P, d] at every token the mean of the `vectors` [P, d] up to it, weighted by the softmax of their `logits` [P].

        This is what a token reads by attention if its query is the same everywhere and the keys are the logits.
        """
        values = vectors.unflatten(1, (task.config.heads, -1))
        first = torch.zeros_like(values)
        first[..., 0] = 1
        keys = first * logits[:, None, None] * sqrt(values.shape[2])  # attention divides by this root
        return attention(torch.stack([first, keys, values], 1), 0.0)

    return fit_prefix_network(task, CORE)
