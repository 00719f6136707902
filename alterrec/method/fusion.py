"""The network of naive early fusion (paper, section 3): ID and text vectors merged item by item."""

import torch
from torch import nn

from alterrec.engine.windows import Batch
from alterrec.method.networks import (
    CachesItemVectors,
    IdVectors,
    SessionEncoder,
    TextVectors,
    full_precision,
    initialise,
    session_vectors,
)
from alterrec.study.settings import FusionConfig


class FusionNetwork(CachesItemVectors):
    """ID and text vectors merged item by item, then one session encoder and one loss.

    `merge` is "sum" (e + x), "concat" (a linear map of [e; x]) or "gate" (g * e + (1 - g) * x, g = sigmoid of a linear
    map of [e; x]). Each splits exactly into a contribution of e and one of x to the item's vector, and so of the score.
    """

    def __init__(
        self,
        items: int,
        text: torch.Tensor,
        text_of_item: torch.Tensor,
        merge: str,
        config: FusionConfig,
        id_dropout: float = 0.0,
    ):
        super().__init__()
        d = config.dimension
        of_text = config.of_text_network()
        self.id_vectors = IdVectors(items, config, id_dropout)
        self.text_vectors = TextVectors(text, of_text)
        self.register_buffer("text_of_item", text_of_item, persistent=False)
        self.merge = merge
        if merge != "sum":
            self.mix = nn.Linear(2 * d, d, bias=merge == "gate")
        self.encoder = SessionEncoder(config)
        initialise(self, d, config.initialisation, of_text.initialisation)

    def modalities(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The vectors where they merge: ID [N, d] and text [N, d]."""
        return self.id_vectors(), self.text_vectors()[self.text_of_item]

    def contributions(self, e: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What each modality adds to the merged item vectors, [N, d] each."""
        if self.merge == "sum":
            return e, x
        if self.merge == "concat":
            left, right = self.mix.weight.chunk(2, dim=1)
            return e @ left.T, x @ right.T
        gate = torch.sigmoid(self.mix(torch.cat([e, x], dim=1)))
        return gate * e, (1 - gate) * x

    def matrix(self) -> torch.Tensor:
        """[N, d] the merged item vectors."""
        return sum(self.contributions(*self.modalities()))

    def part_matrices(self) -> dict[str, torch.Tensor]:
        """The merged item vectors, and those with the other modality's vectors set to their catalogue mean.

        Only the first have a gradient, which needs several matrices of this size.
        """
        e, x = self.modalities()
        merged = sum(self.contributions(e, x))
        with torch.no_grad():
            of_id = sum(self.contributions(e, x.mean(0).expand_as(x)))
            of_text = sum(self.contributions(e.mean(0).expand_as(e), x))
        return {"model": merged, "id": of_id, "text": of_text}

    def encode(self, batch: Batch, matrix: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Session vectors [I, d] and item vectors [N, d]: their products are the scores."""
        if matrix is None:
            with full_precision(batch.tokens):
                matrix = self.matrix()
        return session_vectors(self.encoder, matrix, batch.tokens, batch), matrix
