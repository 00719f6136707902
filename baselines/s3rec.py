"""S3-Rec: a transformer over item IDs that is pre-trained on masked items, on texts and on segments, then fine-tuned.

Zhou et al., S3-Rec: self-supervised learning for sequential recommendation with mutual information maximization, CIKM 2020
(arXiv 2008.07873). Reference implementations: RecBole 1.2.1, and the one with texts as attributes in
github.com/RUCAIBox/UniSRec. Four losses pre-train it, with the transformer reading to both sides: which item was masked,
which text an item that is seen has, which text a masked item has, and which segment was cut out. Fine-tuned, it is
sasrec_softmax; texts reach it through the pre-training alone. It is expected to be near sasrec_softmax.

Departures: an item's only attribute is its text, and the losses of texts are the softmax over all texts, where the program
sums a binary cross-entropy over them; a wrong item differs from the masked one, not from all of the prefix; a wrong segment
comes from one other prefix; Adam's moments go on from pre-training to fine-tuning; the feed-forward layer has width 4d
instead of 256; the optimiser, the batches and the choice of the epoch are the suite's. Pre-training takes its share of the
epochs, so that all models have the same steps. A step of it costs several of id_only: the prefixes are read four times and
every position is scored against all texts. Tuning compares whole trainings only: after a part of the epochs some trials have
fine-tuned and others have not.
"""

from math import ceil
from typing import Literal

from pydantic import Field

from alterrec.study.settings import Dropout, SequenceConfig, SequenceInitialisation

version = 1
label = "S3-Rec"
uses_text = True
space = {"pretraining": {"low": 0.2, "high": 0.8}, "masked_share": {"low": 0.1, "high": 0.5}}
tuned_in_one_rung = True


class Config(SequenceConfig):
    """The settings of RecBole's S3-Rec."""

    dimension: int = Field(64, ge=2)
    dropout: Dropout = 0.5
    initialisation: SequenceInitialisation = "normal"
    schedule: Literal["constant"] = Field(
        "constant",
        description="The learning rate is the same in pre-training and in fine-tuning, as in RecBole",
    )
    pretraining: float = Field(
        0.5, ge=0, lt=1, description="Share of the epochs that pre-train the network, rounded up"
    )
    masked_share: float = Field(0.2, gt=0, lt=1, description="Share of a prefix's items that are masked")
    item_weight: float = Field(1.0, ge=0, description="Weight of the loss of masked items")
    text_weight: float = Field(
        0.2, ge=0, description="Weight of the loss of the texts of items that are seen"
    )
    masked_text_weight: float = Field(
        1.0, ge=0, description="Weight of the loss of the texts of masked items"
    )
    segment_weight: float = Field(0.5, ge=0, description="Weight of the loss of segments")


def fit(task):
    from alterrec.sequence_models.prefix_network import fit_prefix_network
    from alterrec.sequence_models.s3_pretraining import PretrainedLearner, S3Rec

    def network(items, config):
        return S3Rec(items, config, *task.text_tensors())

    def learner(network):
        return PretrainedLearner(network, ceil(task.config.pretraining * task.config.epochs), task.config)

    return fit_prefix_network(task, network, learner)
