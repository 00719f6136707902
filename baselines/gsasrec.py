"""gSASRec: SASRec under the generalised binary cross-entropy, with many negatives and a calibrated weight of the next item.

Petrov and Macdonald, gSASRec: reducing overconfidence in sequential recommendation trained with negative sampling, RecSys
2023. Reference implementation: github.com/asash/gSASRec-pytorch. With a rate alpha of negatives among the other items, the
log-probability of the next item counts beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha) times. It is expected to reach SASRec
with full softmax at a loss that does not grow with the catalogue.

Departures: a negative differs from the next item, where the program draws it from all items; item vectors are multiplied by
sqrt(d) and serve as input and as output, which the program does not do or makes an option; the feed-forward layer has the
ReLU of the SASRec paper, which the program leaves out; positions are counted from a prefix's first item; the first weights,
the batches and the choice of the epoch are the suite's. No more negatives are drawn than the catalogue has other items.
"""

from pydantic import Field

from alterrec.study.settings import Dropout, SequenceConfig

version = 1
label = "gSASRec"
space = {"calibration": {"low": 0.0, "high": 1.0}}


class Config(SequenceConfig):
    """The settings of SASRec with wider vectors, and those of the loss that the paper recommends."""

    dimension: int = Field(128, ge=2)
    heads: int = Field(1, ge=1)
    dropout: Dropout = 0.5
    batch_size: int = Field(128, ge=1)
    negatives: int = Field(256, ge=1, description="Number of negatives of an instance, drawn uniformly")
    calibration: float = Field(
        0.75,
        ge=0,
        le=1,
        description="The paper's t. 0 is the plain binary cross-entropy, 1 makes the scores probabilities of the softmax",
    )


def positive_weight(negatives: int, others: int, calibration: float) -> float:
    """The paper's beta, for so many `negatives` from a catalogue of so many `others` than the next item."""
    rate = negatives / others
    return rate * (calibration * (1 - 1 / rate) + 1 / rate)


def fit(task):
    from functools import partial

    from alterrec.sequence_models.prefix_network import fit_prefix_network
    from alterrec.sequence_models.published_sasrec import BinaryLearner, PublishedSASRec

    others = task.dataset.catalogue_size - 1
    negatives = min(task.config.negatives, others)
    weight = positive_weight(negatives, others, task.config.calibration)
    learner = partial(BinaryLearner, negatives=negatives, positive_weight=weight)
    return fit_prefix_network(task, PublishedSASRec, learner)
