"""FDSA: two transformers, one over item IDs and one over item texts, whose last states are joined.

Zhang et al., Feature-level deeper self-attention network for sequential recommendation, IJCAI 2019. Reference implementation:
RecBole 1.2.1. Texts help to read the prefix; the catalogue is scored by IDs alone. It is expected to be near sasrec_softmax,
and below score fusion on rare items.

Departures: an item has one feature, its text, so the attention over features has nothing to weigh; the two transformers do
not share their positions; RecBole uses one LayerNorm before either transformer and behind their joined states, where there
are three here; the feed-forward layer has width 4d instead of 256; the optimiser, the batches and the choice of the epoch are
the suite's. A step takes about twice the time of one of sasrec_softmax, because two transformers read every prefix.
"""

from pydantic import Field

from alterrec.study.settings import Dropout, SequenceConfig, SequenceInitialisation

version = 1
label = "FDSA"
uses_text = True


class Config(SequenceConfig):
    """The settings of RecBole's FDSA."""

    dimension: int = Field(64, ge=2)
    dropout: Dropout = 0.5
    initialisation: SequenceInitialisation = "normal"


def fit(task):
    from functools import partial

    import torch
    from torch import nn

    from alterrec.sequence_models.prefix_network import PrefixLearner, fit_prefix_network
    from alterrec.sequence_models.text_network import PrefixNetworkWithTexts
    from alterrec.sequence_models.transformer import EPSILON, Transformer

    class FDSA(PrefixNetworkWithTexts):
        def __init__(self, items, config):
            super().__init__(items, config, *task.text_tensors())
            d = config.dimension
            self.project = nn.Linear(self.text.shape[1], d)
            self.of_ids, self.of_texts = (Transformer(config, config.max_length) for _ in range(2))
            self.join, self.norm = nn.Linear(2 * d, d), nn.LayerNorm(d, eps=EPSILON)
            self.dropout = nn.Dropout(config.dropout)

        def states(self, batch):
            texts = self.project(self.texts_of(batch.tokens))
            of_ids = self.of_ids.of_batch(self.item(batch.tokens), batch)
            of_texts = self.of_texts.of_batch(texts, batch)
            return self.dropout(self.norm(self.join(torch.cat([of_ids, of_texts], 1))))

    return fit_prefix_network(task, FDSA, partial(PrefixLearner, modality="joint"))
