"""NARM: a GRU whose last state is joined with an attention-weighted sum of all its states.

Li, Ren, Chen, Ren, Lian and Ma, Neural attentive session-based recommendation, CIKM 2017. Reference implementation: RecBole
1.2.1. The last state stands for the whole session, the weighted sum for its main purpose; the weights are not normalised.
Under equal losses it is expected to be a little above a plain GRU.

Departures: the optimiser, the batches, the choice of the epoch and the first weights are the suite's. The GRU is twice as
wide as the item vectors, as in the paper. `blocks` and `heads` have no effect.
"""

from pydantic import Field

from alterrec.study.settings import Dropout, SequenceConfig

version = 1
label = "NARM"
space = {"output_dropout": {"low": 0.0, "high": 0.8}}


class Config(SequenceConfig):
    """The settings of the paper."""

    dimension: int = Field(50, ge=2)
    dropout: Dropout = Field(0.25, description="Dropout probability of the item vectors that the GRU reads")
    output_dropout: Dropout = Field(0.5, description="Dropout probability of the two joined states")


def fit(task):
    import torch
    from torch import nn

    from alterrec.sequence_models.prefix_network import PrefixNetwork, at_last, filled, fit_prefix_network

    class NARM(PrefixNetwork):
        def __init__(self, items, config):
            super().__init__(items, config)
            d, width = config.dimension, 2 * config.dimension
            self.dropout, self.output_dropout = nn.Dropout(config.dropout), nn.Dropout(config.output_dropout)
            self.gru = nn.GRU(d, width, bias=False, batch_first=True)
            self.of_state, self.of_last = (nn.Linear(width, width, bias=False) for _ in range(2))
            self.weight = nn.Linear(width, 1, bias=False)
            self.project = nn.Linear(2 * width, d, bias=False)

        def session_vectors(self, items, length):
            hidden, _ = self.gru(self.dropout(self.item(items)))  # [i, T, 2d]
            last = at_last(hidden, length)
            weight = self.weight((self.of_state(hidden) + self.of_last(last)[:, None]).sigmoid())  # [i, T, 1]
            local = (weight * filled(length, items.shape[1])[:, :, None] * hidden).sum(1)
            return self.project(self.output_dropout(torch.cat([local, last], 1)))

    return fit_prefix_network(task, NARM)
