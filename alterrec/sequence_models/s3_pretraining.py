"""S3-Rec (Zhou et al., CIKM 2020) with texts as attributes: its network, and a learner that pre-trains and then fine-tunes
it.

Written from the paper, RecBole 1.2.1 and the baselines of github.com/RUCAIBox/UniSRec, whose attributes are texts. i
prefixes of up to T items, M texts.
"""

from typing import Protocol

import torch
from torch import nn
from torch.nn import functional as F

from alterrec.engine.learner_interface import Epoch
from alterrec.method.losses import softmax_loss
from alterrec.method.networks import full_precision
from alterrec.sequence_models.prefix_network import PrefixLearner, filled
from alterrec.sequence_models.published_sasrec import other_items
from alterrec.sequence_models.text_network import PrefixNetworkWithTexts
from alterrec.sequence_models.transformer import Transformer
from alterrec.study.settings import SequenceConfig


class PretrainingConfig(Protocol):
    """The settings of pre-training, which are described in baselines/s3rec.py."""

    masked_share: float
    item_weight: float
    text_weight: float
    masked_text_weight: float
    segment_weight: float


class S3Rec(PrefixNetworkWithTexts):
    """A transformer over item IDs, and the linear maps of its states by which the four tasks compare them.

    In pre-training a state depends on later items, too.
    """

    def __init__(self, items: int, config: SequenceConfig, text: torch.Tensor, text_of_item: torch.Tensor):
        super().__init__(items + 1, config, text, text_of_item)  # the last vector is that of the mask
        d = config.dimension
        self.mask = items
        self.encoder = Transformer(config, config.max_length)
        self.project = nn.Linear(text.shape[1], d)
        self.of_item, self.of_text, self.of_masked_text, self.of_segment = (nn.Linear(d, d) for _ in range(4))

    def states(self, batch):
        return self.encoder.of_batch(self.item(batch.tokens), batch)

    def item_vectors(self):
        return self.item.weight[:-1]


class PretrainedLearner(PrefixLearner):
    """The first `pretraining` epochs train the four tasks, the others the next item."""

    def __init__(self, network: S3Rec, pretraining: int, config: PretrainingConfig):
        super().__init__(network, "joint")
        self.pretraining, self.config = pretraining, config

    def schedule(self, config):
        return [
            Epoch("joint", number, "pretrain" if number <= self.pretraining else "finetune")
            for number in range(1, config.epochs + 1)
        ]

    def loss(self, batch, epoch):
        if epoch.mode == "finetune":
            return super().loss(batch, epoch)
        blocks = batch.prefix_rows()
        weights = batch.mean_over().float().split([len(length) for _, length in blocks])
        return sum(
            self.masked_loss(*block, weight) + self.segment_loss(*block, weight)
            for block, weight in zip(blocks, weights, strict=True)
        )

    def masked_loss(self, items: torch.Tensor, length: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The losses of masked items, and of the texts of all items; `weight` [i] is that of each prefix."""
        network, config = self.network, self.config
        inside = filled(length, items.shape[1])
        masked = inside & (torch.rand(items.shape, device=items.device) < config.masked_share)
        states = network.encoder(network.item(torch.where(masked, network.mask, items)), length, causal=False)
        wrong = other_items(items.flatten(), 1, network.mask).view_as(items)
        losses = pairwise_loss(network.of_item(states), network.item(items), network.item(wrong))
        of_items = (weight[:, None] * masked * losses).sum()
        expected = torch.where(masked[:, :, None], network.of_masked_text(states), network.of_text(states))
        with full_precision(items):
            texts = network.project(network.text)
        of_place = torch.where(masked, config.masked_text_weight, config.text_weight) * inside
        of_texts = softmax_loss(
            expected.flatten(0, 1).to(texts.dtype),
            texts,
            network.text_of_item[items].flatten(),
            (weight[:, None] * of_place).flatten(),
        )
        return config.item_weight * of_items + of_texts

    def segment_loss(self, items: torch.Tensor, length: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The loss of the segment that is cut out of each prefix of at least two items, beside one of another prefix."""
        network = self.network
        segment, wrong = segments(items, length)
        rows = (
            torch.where(segment, network.mask, items),
            torch.where(segment, items, network.mask),
            torch.where(segment, wrong, network.mask),
        )
        rest, right, wrong = (
            network.encoder.last_states(network.item(row), length, causal=False) for row in rows
        )
        losses = pairwise_loss(network.of_segment(rest), right, wrong)
        return self.config.segment_weight * (weight * (length > 1) * losses).sum()


def pairwise_loss(expected: torch.Tensor, right: torch.Tensor, wrong: torch.Tensor) -> torch.Tensor:
    """[...] -log sigmoid(sigmoid(expected . right) - sigmoid(expected . wrong)), of vectors [..., d]."""
    right, wrong = (torch.sigmoid((expected * each).sum(-1)) for each in (right, wrong))
    return F.softplus(wrong - right)


def segments(items: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where a random segment of up to half of each prefix lies [i, T], and another prefix's items from there on [i, T]."""
    size_draw, start_draw = torch.rand(2, len(length), device=items.device)
    half = (length // 2).clamp(min=1)
    size = 1 + (size_draw * half).long()
    start = (start_draw * (length - size + 1)).long()
    place = torch.arange(items.shape[1], device=items.device) - start[:, None]
    shift = torch.randint(1, max(2, len(length)), (1,), device=items.device)
    other = (torch.arange(len(length), device=items.device) + shift) % len(length)
    wrong = items[other].gather(1, place % length[other][:, None])
    return (place >= 0) & (place < size[:, None]), wrong
