"""The networks of the paper (section 4.1) and of naive fusion: a session encoder over item vectors from ids, texts or both.

Every network scores the whole catalogue. A text network scores each distinct text once (a *column*), so items that
share a text tie exactly; `column_of_item` maps items to columns. N items, M columns, I instances, d dimensions.
"""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from alterrec.engine.windows import Batch, Layout
from alterrec.kernels.build import built_kernel
from alterrec.study.settings import NeuralConfig


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each followed by dropout, residual and LayerNorm (post-norm).

    Attention probabilities have dropout too, as in the authors' program; the inside of the feed-forward has none.
    """

    def __init__(self, config: NeuralConfig):
        super().__init__()
        d = config.dimension
        self.heads = config.heads
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.out = nn.Linear(d, d, bias=False)
        self.attention_norm = nn.LayerNorm(d, eps=1e-6)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.norm = nn.LayerNorm(d, eps=1e-6)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor, layout: Layout, wanted: torch.Tensor | None = None) -> torch.Tensor:
        """States [P, d] of all tokens, or [I, d] of the `wanted` [I] ones."""
        rate, mixed = self.dropout.p if self.training else 0.0, self.attention(x, layout)
        if wanted is not None:  # what follows the attention concerns each token alone
            x, mixed = x.index_select(0, wanted), mixed.index_select(0, wanted)
        x = add_and_norm(x, mixed, self.out, self.attention_norm, rate)
        return add_and_norm(x, linear_relu(x, self.up), self.down, self.norm, rate)

    def attention(self, x: torch.Tensor, layout: Layout) -> torch.Tensor:
        """[P, d] what every token mixes; `out` comes after this."""
        rate = self.dropout.p if self.training else 0.0
        return causal_attention(self.qkv(x).view(len(x), 3, self.heads, -1), rate, layout)


def causal_attention(qkv: torch.Tensor, rate: float, layout: Layout) -> torch.Tensor:
    """[P, d] every token attends to itself and the earlier tokens of its row. qkv is [P, 3, heads, d / heads].

    `rate` is the dropout of the attention probabilities.
    """
    if qkv.is_cuda and qkv.dtype != torch.float64 and layout.tiles is not None:
        return built_kernel("packed_attention").packed_attention(qkv, layout.place, layout.tiles, rate)
    if layout.groups is None:
        return masked_attention(qkv, layout.place, rate)
    groups = qkv.split([rows * width for rows, width in layout.groups])
    return torch.cat(
        [
            attention_of_rows(own, rate, rows, is_causal=True)
            for own, (rows, _) in zip(groups, layout.groups, strict=True)
        ]
    )


def attention_of_rows(qkv: torch.Tensor, rate: float, rows: int, **mask) -> torch.Tensor:
    """[P, d] attention within `rows` of one length, as PyTorch's scaled_dot_product_attention takes its `mask`."""
    q, k, v = qkv.unflatten(0, (rows, -1)).permute(2, 0, 3, 1, 4)  # [R, heads, T, d / heads]
    attended = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, **mask)
    return attended.transpose(1, 2).flatten(2).flatten(0, 1)


def masked_attention(qkv: torch.Tensor, place: torch.Tensor, rate: float) -> torch.Tensor:
    """[P, d] the attention of rows of any lengths, at the cost of all pairs of tokens: only for a few of them."""
    token = torch.arange(len(place), device=place.device)
    row = token - place
    allowed = (row[:, None] == row) & (token <= token[:, None])
    q, k, v = qkv.permute(1, 2, 0, 3)  # [heads, P, d / heads]
    attended = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, dropout_p=rate)
    return attended.transpose(0, 1).flatten(1)


def gpu_kernel(name: str, x: torch.Tensor):
    """The module of a Triton kernel, or None where `x` is not for it."""
    return built_kernel(name) if x.is_cuda and x.dtype != torch.float64 else None


def add_and_norm(
    x: torch.Tensor, y: torch.Tensor, linear: nn.Linear, norm: nn.LayerNorm, rate: float
) -> torch.Tensor:
    """norm(x + dropout(linear(y))), dropout with probability `rate`."""
    kernel = gpu_kernel("residual_norm", x)
    if kernel and x.shape[1] <= kernel.WIDEST:
        return kernel.residual_norm(x, F.linear(y, linear.weight), linear.bias, norm, rate)
    return norm(x + F.dropout(linear(y), rate))


def linear_relu(x: torch.Tensor, linear: nn.Linear) -> torch.Tensor:
    kernel = gpu_kernel("biased_relu", x)
    if kernel:
        return kernel.biased_relu(F.linear(x, linear.weight), linear.bias)
    return F.relu(linear(x))


def layer_norm(x: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
    kernel = gpu_kernel("residual_norm", x)
    return kernel.layer_norm(x, norm) if kernel and x.shape[1] <= kernel.WIDEST else norm(x)


class SessionEncoder(nn.Module):
    """Item vectors [P, d] -> hidden states [I, d] of the `wanted` [I] tokens. A state depends on nothing behind its token,
    and on no other row."""

    def __init__(self, config: NeuralConfig):
        super().__init__()
        self.position = nn.Parameter(torch.empty(config.max_length, config.dimension))
        self.norm = nn.LayerNorm(config.dimension, eps=1e-6)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))

    def forward(self, vectors: torch.Tensor, layout: Layout, wanted: torch.Tensor) -> torch.Tensor:
        position = self.position.index_select(0, layout.place)
        x = self.dropout(layer_norm(vectors + position, self.norm))
        *earlier, last = self.blocks
        for block in earlier:
            x = block(x, layout)
        return last(x, layout, wanted)


class IdVectors(nn.Module):
    """Free item embedding -> dropout (in a fusion that asks for it) -> LayerNorm: the ID item matrix [N, d]."""

    def __init__(self, items: int, config: NeuralConfig, dropout: float = 0.0):
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(items, config.dimension))
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(config.dimension)

    def weights(self) -> list[nn.Parameter]:
        return [self.embedding]

    def forward(self) -> torch.Tensor:
        return layer_norm(self.dropout(self.embedding), self.norm)


class TextVectors(nn.Module):
    """Frozen sentence embeddings -> Linear -> ReLU -> dropout -> LayerNorm: one vector [M, d] per distinct text."""

    def __init__(self, text: torch.Tensor, config: NeuralConfig):
        super().__init__()
        self.register_buffer("text", text, persistent=False)
        self.project = nn.Linear(text.shape[1], config.dimension)
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(config.dimension)

    def weights(self) -> list[nn.Parameter]:
        return [*self.project.parameters()]

    def forward(self) -> torch.Tensor:
        return layer_norm(self.dropout(linear_relu(self.text, self.project)), self.norm)


class CachesItemVectors(nn.Module):
    """A network that computes its item vectors once for all batches that are scored without gradients."""

    _cached: tuple | None = None

    def cached(self, compute: Callable):
        """compute(), or its last result if no gradient is wanted and neither the mode nor the parameters have changed."""
        if (
            torch.is_grad_enabled()
            or self.training
            or torch.cuda.is_available()
            and torch.cuda.is_current_stream_capturing()
        ):
            return compute()
        key = [(parameter.data_ptr(), parameter._version) for parameter in self.parameters()]
        if self._cached is None or self._cached[0] != key:
            self._cached = key, compute()
        return self._cached[1]

    def train(self, mode: bool = True):
        self._cached = None  # fused optimisers change parameters without counting their versions up
        return super().train(mode)


class UniModalNetwork(CachesItemVectors):
    """A session encoder over one item matrix; scores are dot products with the same matrix, over a temperature."""

    def __init__(
        self,
        vectors: nn.Module,
        column_of_item: torch.Tensor | None,
        temperature: float,
        config: NeuralConfig,
    ):
        super().__init__()
        self.vectors, self.temperature = vectors, temperature
        self.encoder = SessionEncoder(config)
        self.register_buffer("column_of_item", column_of_item, persistent=False)
        items_per_column = first_item = further_items = None
        if column_of_item is not None:
            items_per_column = torch.bincount(column_of_item)
            in_order = torch.argsort(column_of_item, stable=True)
            is_first = torch.zeros_like(in_order, dtype=torch.bool)
            is_first[items_per_column.cumsum(0) - items_per_column] = True
            first_item, further_items = in_order[is_first], in_order[~is_first]
        self.register_buffer("items_per_column", items_per_column, persistent=False)  # [M]
        self.register_buffer("first_item", first_item, persistent=False)  # [M]
        self.register_buffer("further_items", further_items, persistent=False)  # [N - M]
        initialise(self, config.dimension, config.initialisation)
        if config.initialisation == "xavier":  # "unit_gain" starts with logits 1 / temperature times as large
            nn.init.constant_(vectors.norm.weight, temperature)

    def weights(self) -> list[nn.Parameter]:
        """Those that make its item vectors."""
        return self.vectors.weights()

    def columns(self, items: torch.Tensor) -> torch.Tensor:
        return items if self.column_of_item is None else self.column_of_item[items]

    def encode(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Session vectors over the temperature [I, d] and column vectors [M, d]: their products are the scores."""
        with full_precision(batch.tokens):
            matrix = self.cached(self.vectors)
        states = session_vectors(self.encoder, matrix, self.columns(batch.tokens), batch)
        return states / self.temperature, matrix

    def column_scores(self, batch: Batch) -> torch.Tensor:
        """[I, M] scores of the columns."""
        states, matrix = self.encode(batch)
        return states @ matrix.T

    def expand(self, scores: torch.Tensor) -> torch.Tensor:
        """[I, M] column scores -> [I, N] item scores."""
        return scores if self.column_of_item is None else scores[:, self.column_of_item]

    def fold(self, counts: torch.Tensor) -> torch.Tensor:
        """[I, N] item counts -> [I, M] column counts."""
        if self.column_of_item is None:
            return counts
        folded = counts.index_select(1, self.first_item)  # most texts have one item: adding takes longer
        further = counts.index_select(1, self.further_items)
        return folded.index_add_(1, self.column_of_item[self.further_items], further)

    def forward(self, batch: Batch) -> torch.Tensor:
        """[I, N] scores of the items."""
        return self.expand(self.column_scores(batch))


def id_network(items: int, config: NeuralConfig, vector_dropout: float = 0.0) -> UniModalNetwork:
    return UniModalNetwork(IdVectors(items, config, vector_dropout), None, 1.0, config)


def text_network(text: torch.Tensor, text_of_item: torch.Tensor, config: NeuralConfig) -> UniModalNetwork:
    return UniModalNetwork(TextVectors(text, config), text_of_item, config.temperature, config)


def full_precision(tensor: torch.Tensor) -> torch.autocast:
    """The context in which item vectors are computed: factors are not rounded to bfloat16, whatever autocast says.

    A gradient that the whole catalogue adds to is a small rest of large terms, which rounding drowns.
    """
    return torch.autocast(tensor.device.type, enabled=False)


def session_vectors(
    encoder: SessionEncoder, matrix: torch.Tensor, tokens: torch.Tensor, batch: Batch
) -> torch.Tensor:
    """[I, d] the session vector of every instance: the hidden state at the last position of its prefix."""
    return encoder(matrix.index_select(0, tokens), batch.layout, batch.state)


@torch.no_grad()
def initialise(module: nn.Module, dimension: int, kind: str, text_kind: str | None = None) -> None:
    """Set every parameter of `module`; those of its `text_vectors`, if it has them, by `text_kind`.

    "authors": uniform(-1/sqrt(d), 1/sqrt(d)), LayerNorm gains included, as in the authors' program. "xavier" and
    "unit_gain": matrices Xavier-uniform, LayerNorm gains 1, biases 0. "normal": the same with matrices from N(0, 0.02^2).
    """
    for name, parameter in module.named_parameters():
        own = text_kind if text_kind and name.startswith("text_vectors.") else kind
        if own == "authors":
            bound = 1 / math.sqrt(dimension)
            nn.init.uniform_(parameter, -bound, bound)
        elif parameter.dim() > 1 and own == "normal":
            nn.init.normal_(parameter, std=0.02)
        elif parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.constant_(parameter, 1.0 if name.endswith("norm.weight") else 0.0)
