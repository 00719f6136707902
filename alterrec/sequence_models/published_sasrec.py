"""SASRec as published (Kang and McAuley, ICDM 2018), under a binary cross-entropy that gSASRec generalises.

Written from the paper and the authors' program (github.com/kang205/SASRec).
"""

import torch
from torch import nn
from torch.nn import functional as F

from alterrec.engine.windows import Layout
from alterrec.method.networks import causal_attention, layer_norm
from alterrec.sequence_models.prefix_network import PrefixLearner, PrefixNetwork, mean_loss
from alterrec.study.settings import SequenceConfig

EPSILON = 1e-8


class SASRecBlock(nn.Module):
    """Only the queries are normalised before the attention; they are also what is added to it. It has no output layer."""

    def __init__(self, config: SequenceConfig):
        super().__init__()
        d = config.dimension
        self.heads = config.heads
        self.attention_norm, self.norm = nn.LayerNorm(d, eps=EPSILON), nn.LayerNorm(d, eps=EPSILON)
        self.query, self.key_value = nn.Linear(d, d), nn.Linear(d, 2 * d)
        self.inner, self.outer = nn.Linear(d, d), nn.Linear(d, d)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor, layout: Layout, wanted: torch.Tensor | None = None) -> torch.Tensor:
        """States [P, d] of all tokens, or [I, d] of the `wanted` [I] ones."""
        normed = layer_norm(x, self.attention_norm)
        qkv = torch.cat([self.query(normed), self.key_value(x)], 1).view(len(x), 3, self.heads, -1)
        mixed = causal_attention(qkv, self.dropout.p if self.training else 0.0, layout)
        if wanted is not None:  # what follows the attention concerns each token alone
            normed, mixed = normed.index_select(0, wanted), mixed.index_select(0, wanted)
        x = layer_norm(normed + mixed, self.norm)
        return x + self.dropout(self.outer(self.dropout(F.relu(self.inner(x)))))


class PublishedSASRec(PrefixNetwork):
    """Item vectors times sqrt(d) with learned positions, blocks, and a last LayerNorm."""

    def __init__(self, items: int, config: SequenceConfig):
        super().__init__(items, config)
        self.position = nn.Parameter(torch.empty(config.max_length, config.dimension))
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(SASRecBlock(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.dimension, eps=EPSILON)

    def states(self, batch):
        vectors, layout = self.item(batch.tokens), batch.layout
        x = self.dropout(vectors * vectors.shape[1] ** 0.5 + self.position.index_select(0, layout.place))
        *earlier, last = self.blocks
        for block in earlier:
            x = block(x, layout)
        return layer_norm(last(x, layout, batch.state), self.norm)


class BinaryLearner(PrefixLearner):
    """The next item, with a weight, against `negatives` other items that are drawn uniformly for each instance."""

    def __init__(self, network: PrefixNetwork, negatives: int, positive_weight: float):
        super().__init__(network)
        self.negatives, self.positive_weight = negatives, positive_weight

    def loss(self, batch, epoch):
        states, matrix = self.network(batch)
        drawn = other_items(batch.target, self.negatives, len(matrix))
        positive = (states * matrix[batch.target]).sum(1)
        negative = (matrix[drawn] @ states[:, :, None]).squeeze(2)
        return mean_loss(binary_cross_entropy(positive, negative, self.positive_weight), batch)


def binary_cross_entropy(
    positive: torch.Tensor, negative: torch.Tensor, positive_weight: float
) -> torch.Tensor:
    """[I] the mean over an instance's 1 + K scores: `positive` [I] should be high, `negative` [I, K] low."""
    total = positive_weight * F.softplus(-positive) + F.softplus(negative).sum(1)
    return total / (1 + negative.shape[1])


def other_items(item: torch.Tensor, draws: int, items: int) -> torch.Tensor:
    """[I, draws] items drawn uniformly, with replacement, from all but `item` [I]."""
    drawn = torch.randint(items - 1, (len(item), draws), device=item.device)
    return drawn + (drawn >= item[:, None])
