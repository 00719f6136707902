"""BERT4Rec: a transformer that reads to both sides and learns to fill in masked items.

Sun, Liu, Wu, Pei, Lin, Ou and Jiang, BERT4Rec, CIKM 2019 (arXiv 1904.06690). Reference implementations:
github.com/FeiSun/BERT4Rec and RecBole 1.2.1. Half of the training rows mask their last item only, the others a share of
their items; the next item is predicted at a mask behind the prefix. Petrov and Macdonald (A systematic review and
replicability study of BERT4Rec, RecSys 2022) show that it may need many times the default training of its programs, so
`epochs` is 200 by default; a study that gives all models the same epochs may stop it too early. On Amazon Beauty the chosen
settings were best after 27 of 144 epochs (results/reference/beauty_baselines). It is expected to be below SASRec with full
softmax (Klenitskiy and Vasilev, RecSys 2023).

Departures: a training row is a prefix with its target, so an item is masked in several rows; the feed-forward layer has
width 4d instead of 256; the optimiser, the batches and the choice of the epoch are the suite's. A row has one true label for
each mask: the history's `masked_labels` counts those of an epoch, `labels` counts rows.
"""

from pydantic import Field

from alterrec.study.settings import Dropout, SequenceConfig, SequenceInitialisation

version = 1
label = "BERT4Rec"
space = {"masked_share": {"low": 0.1, "high": 0.6}}


class Config(SequenceConfig):
    """The settings of RecBole's BERT4Rec."""

    dimension: int = Field(64, ge=2)
    dropout: Dropout = 0.2
    epochs: int = Field(200, ge=1)
    initialisation: SequenceInitialisation = "normal"
    masked_share: float = Field(0.2, gt=0, lt=1, description="Share of a row's items that are masked")
    last_only: float = Field(0.5, ge=0, le=1, description="Share of the rows that mask their last item only")


def fit(task):
    import torch
    from torch import nn
    from torch.nn import functional as F

    from alterrec.method.losses import softmax_loss
    from alterrec.sequence_models.prefix_network import (
        PrefixLearner,
        PrefixNetwork,
        filled,
        fit_prefix_network,
        with_bias,
    )
    from alterrec.sequence_models.transformer import EPSILON, Transformer

    class BERT4Rec(PrefixNetwork):
        def __init__(self, items, config):
            super().__init__(items + 1, config)  # the last vector is that of the mask
            self.mask = items
            self.encoder = Transformer(config, config.max_length + 1)
            self.head = nn.Linear(config.dimension, config.dimension)
            self.head_norm = nn.LayerNorm(config.dimension, eps=EPSILON)
            self.bias = nn.Parameter(torch.empty(items))

        def states_at(self, place, items, length):
            """[i * M, d] what the network expects at each `place` [i, M] of the rows."""
            first = torch.arange(len(items), device=items.device)[:, None] * items.shape[1]
            wanted = (first + place).flatten()
            return self.expected(self.encoder.of_rows(self.item(items), length, False, wanted))

        def session_vectors(self, items, length):
            rows = self.item(appended(items, length, self.mask))
            return self.expected(self.encoder.last_states(rows, length + 1, causal=False))

        def expected(self, states):
            return self.head_norm(F.gelu(self.head(states)))

        def item_vectors(self):
            return self.item.weight[:-1]

        def forward(self, batch):
            return with_bias(*super().forward(batch), self.bias)

    class MaskedItemLearner(PrefixLearner):
        def __init__(self, network):
            super().__init__(network)
            self.masked = torch.zeros((), dtype=torch.int64, device=task.device)

        def start(self, epoch, windows):
            super().start(epoch, windows)
            self.masked.zero_()

        def loss(self, batch, epoch):
            blocks = batch.prefix_rows()
            real = torch.ones_like(batch.target, dtype=torch.bool) if batch.valid is None else batch.valid
            sizes = [len(length) for _, length in blocks]
            found = [
                self.at_masks(appended(items, length, target[:, None]), length + 1, own)
                for (items, length), target, own in zip(
                    blocks, batch.target.split(sizes), real.split(sizes), strict=True
                )
            ]
            states, label, masked = (torch.cat(parts) for parts in zip(*found, strict=True))
            self.masked += masked.sum()
            states, matrix = with_bias(states, self.network.item_vectors(), self.network.bias)
            return softmax_loss(states, matrix, label, masked / masked.sum().clamp(min=1))

        def at_masks(self, items, length, real):
            """States [i * M, d] at M places of each row, the items there, and which of these places are masked.

            Only rows that are `real` [i] have masked places.
            """
            place, masked = drawn_places(length, items.shape[1])
            masked = masked & real[:, None]
            label = items.gather(1, place)
            read = items.scatter(1, place, torch.where(masked, self.network.mask, label))
            return self.network.states_at(place, read, length), label.flatten(), masked.flatten()

        def evaluate(self, validation, sample):
            return super().evaluate(validation, sample) | {"masked_labels": int(self.masked)}

    def appended(items, length, item):
        """[i, T + 1] the rows with `item` behind the first `length` [i] of their items."""
        return F.pad(items, (0, 1)).scatter(1, length[:, None], item)

    def drawn_places(length, width):
        """[i, M] places of each row in random order, and whether they are among those to mask."""
        share, last_only = task.config.masked_share, task.config.last_only
        only = torch.rand(len(length), device=length.device) < last_only
        number = torch.where(only, 1, (share * length).round().clamp(min=1))
        inside = filled(length, width)
        last = inside & ~filled(length - 1, width)
        key = torch.rand(len(length), width, device=length.device)
        key = key.masked_fill(~inside, -1).masked_fill(last & only[:, None], 2)
        place = key.topk(max(1, round(share * width)), dim=1).indices
        return place, torch.arange(place.shape[1], device=length.device) < number[:, None]

    return fit_prefix_network(task, BERT4Rec, MaskedItemLearner)
