"""The transformer of BERT (Devlin et al., NAACL 2019) over rows of items, as RecBole's SASRec, BERT4Rec and CORE have it."""

import torch
from torch import nn
from torch.nn import functional as F

from alterrec.sequence_models.prefix_network import at_last, filled
from alterrec.study.settings import SequenceConfig

EPSILON = 1e-12


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
        self, x: torch.Tensor, allowed: torch.Tensor, length: torch.Tensor | None = None
    ) -> torch.Tensor:
        """States [i, T, d], or [i, d] of the last items of prefixes of `length` [i] items.

        `allowed` [T, T] or [i, 1, 1, T] says to which positions a position may attend.
        """
        # each [i, heads, T, d / heads]
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        rate = self.dropout.p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, allowed, dropout_p=rate).transpose(1, 2).flatten(2)
        if length is not None:  # what follows the attention concerns each position alone
            x, mixed = at_last(x, length), at_last(mixed, length)
        x = self.attention_norm(x + self.dropout(self.out(mixed)))
        return self.norm(x + self.dropout(self.down(F.gelu(self.up(x)))))


class Transformer(nn.Module):
    """Blocks over item vectors with learned positions. Where it is `causal`, a state depends on earlier items only."""

    def __init__(self, config: SequenceConfig, positions: int, causal: bool):
        super().__init__()
        self.causal = causal
        self.position = nn.Parameter(torch.empty(positions, config.dimension))
        self.norm = nn.LayerNorm(config.dimension, eps=EPSILON)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(PostNormBlock(config) for _ in range(config.blocks))

    def forward(self, vectors: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        """[i, T, d] states of rows of item `vectors` [i, T, d], of which the first `length` [i] count."""
        return self.blocks[-1](*self.before_last_block(vectors, length))

    def last_states(self, vectors: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        """[i, d] the states of the rows' last items, without computing the others'."""
        return self.blocks[-1](*self.before_last_block(vectors, length), length)

    def before_last_block(
        self, vectors: torch.Tensor, length: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The states [i, T, d] that the last block reads, and to which positions each position may attend."""
        width = vectors.shape[1]
        if self.causal:  # what stands behind a prefix comes later than all of it
            allowed = torch.ones(width, width, dtype=torch.bool, device=vectors.device).tril()
        else:
            allowed = filled(length, width)[:, None, None, :]
        x = self.dropout(self.norm(vectors + self.position[:width]))
        for block in self.blocks[:-1]:
            x = block(x, allowed)
        return x, allowed
