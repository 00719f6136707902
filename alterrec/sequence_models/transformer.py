"""The transformer of BERT (Devlin et al., NAACL 2019) over rows of items, as RecBole's SASRec, BERT4Rec and CORE have it."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from alterrec.engine.windows import Batch
from alterrec.method.networks import add_and_norm, attention_of_rows, causal_attention, layer_norm
from alterrec.sequence_models.prefix_network import filled
from alterrec.study.settings import SequenceConfig

EPSILON = 1e-12
Attention = Callable[[torch.Tensor, float], torch.Tensor]
"""What a token mixes: queries, keys and values [P, 3, heads, d / heads] and a dropout probability -> [P, d]."""


class PostNormBlock(nn.Module):
    """Self-attention and a feed-forward layer with GELU, each followed by dropout, residual and LayerNorm."""

    def __init__(self, config: SequenceConfig):
        super().__init__()
        d = config.dimension
        self.heads = config.heads
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.attention_norm = nn.LayerNorm(d, eps=EPSILON)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.norm = nn.LayerNorm(d, eps=EPSILON)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: torch.Tensor, attention: Attention, wanted: torch.Tensor | None = None
    ) -> torch.Tensor:
        """States [P, d] of all tokens, or [I, d] of the `wanted` [I] ones."""
        rate = self.dropout.p if self.training else 0.0
        mixed = attention(self.qkv(x).view(len(x), 3, self.heads, -1), rate)
        if wanted is not None:  # what follows the attention concerns each token alone
            x, mixed = x.index_select(0, wanted), mixed.index_select(0, wanted)
        x = add_and_norm(x, mixed, self.out, self.attention_norm, rate)
        return add_and_norm(x, F.gelu(self.up(x)), self.down, self.norm, rate)


class Transformer(nn.Module):
    """Blocks over item vectors with learned positions. Where it is causal, a state depends on earlier items only."""

    def __init__(self, config: SequenceConfig, positions: int):
        super().__init__()
        self.position = nn.Parameter(torch.empty(positions, config.dimension))
        self.norm = nn.LayerNorm(config.dimension, eps=EPSILON)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(PostNormBlock(config) for _ in range(config.blocks))

    def of_batch(self, vectors: torch.Tensor, batch: Batch) -> torch.Tensor:
        """[I, d] the causal states at the ends of instances' prefixes; `vectors` [P, d] are those of the batch's tokens."""
        attention = partial(causal_attention, layout=batch.layout)
        return self.through_blocks(vectors, batch.layout.place, attention, batch.state)

    def forward(self, vectors: torch.Tensor, length: torch.Tensor, causal: bool = True) -> torch.Tensor:
        """[i, T, d] states of rows of item `vectors` [i, T, d], of which the first `length` [i] count."""
        return self.of_rows(vectors, length, causal).view_as(vectors)

    def last_states(self, vectors: torch.Tensor, length: torch.Tensor, causal: bool = True) -> torch.Tensor:
        """[i, d] the states of the rows' last items, without computing all of the others'."""
        rows, width = vectors.shape[:2]
        last = torch.arange(rows, device=vectors.device) * width + length - 1
        return self.of_rows(vectors, length, causal, last)

    def of_rows(
        self, vectors: torch.Tensor, length: torch.Tensor, causal: bool, wanted: torch.Tensor | None = None
    ) -> torch.Tensor:
        rows, width = vectors.shape[:2]
        if causal:  # what stands behind a prefix comes later than all of it
            allowed = torch.ones(width, width, dtype=torch.bool, device=vectors.device).tril()
        else:
            allowed = filled(length, width)[:, None, None, :]
        place = torch.arange(width, device=vectors.device).repeat(rows)
        attention = partial(attention_of_rows, rows=rows, attn_mask=allowed)
        return self.through_blocks(vectors.flatten(0, 1), place, attention, wanted)

    def through_blocks(
        self, vectors: torch.Tensor, place: torch.Tensor, attention: Attention, wanted: torch.Tensor | None
    ) -> torch.Tensor:
        """The states of all tokens, or of the `wanted` ones; `place` [P] is a token's position in its row."""
        x = self.dropout(layer_norm(vectors + self.position.index_select(0, place), self.norm))
        *earlier, last = self.blocks
        for block in earlier:
            x = block(x, attention)
        return last(x, attention, wanted)
