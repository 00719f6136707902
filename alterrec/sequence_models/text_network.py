"""What models of item texts from other papers share: networks that know the items' texts, and scores that are cosines."""

from abc import ABC, abstractmethod

import torch
from torch.nn import functional as F

from alterrec.engine.windows import Batch
from alterrec.method.networks import CachesItemVectors, full_precision
from alterrec.sequence_models.prefix_network import PrefixNetwork
from alterrec.sequence_models.transformer import Transformer
from alterrec.study.settings import SequenceConfig


class TextNetwork(CachesItemVectors, ABC):
    """Item vectors made from texts once for a batch, and the states of a transformer that reads them. Products are scores.

    With `stored` the weights hold the texts' vectors: another machine may compute the axes of a covariance with other signs.
    """

    def __init__(
        self,
        text: torch.Tensor,
        text_of_item: torch.Tensor,
        config: SequenceConfig,
        stored: bool = False,
    ):
        super().__init__()
        self.register_buffer("text", text, persistent=stored)  # [M, w]
        self.register_buffer("text_of_item", text_of_item, persistent=False)  # [N]
        self.encoder = Transformer(config, config.max_length)

    @abstractmethod
    def item_vectors(self) -> torch.Tensor:
        """[N, d]"""

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Session vectors [I, d] and item vectors [N, d]."""
        with full_precision(batch.tokens):
            matrix = self.cached(self.item_vectors)
        states = self.encoder.of_batch(matrix.index_select(0, batch.tokens), batch)
        return states.to(matrix.dtype), matrix


class PrefixNetworkWithTexts(PrefixNetwork):
    """A network of prefixes that also reads the items' texts; the catalogue is scored by free item vectors alone."""

    def __init__(self, items: int, config: SequenceConfig, text: torch.Tensor, text_of_item: torch.Tensor):
        super().__init__(items, config)
        self.register_buffer("text", text, persistent=False)  # [M, w]
        self.register_buffer("text_of_item", text_of_item, persistent=False)  # [N]

    def texts_of(self, items: torch.Tensor) -> torch.Tensor:
        """[..., w] the text vector of each of the `items` [...]."""
        return self.text[self.text_of_item[items]]


def cosines(
    states: torch.Tensor, matrix: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The vectors scaled so that their products are cosines over the temperature."""
    return F.normalize(states, dim=1) / temperature, F.normalize(matrix, dim=1)
