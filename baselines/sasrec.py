"""SASRec as published: a causal transformer under binary cross-entropy, the next item against one drawn item.

Kang and McAuley, Self-attentive sequential recommendation, ICDM 2018. Reference implementation: the authors' program,
github.com/kang205/SASRec. It is expected to be well below sasrec_softmax, because one negative makes it overconfident (Petrov
and Macdonald, RecSys 2023).

Departures: a negative differs from the next item, where the authors' differs from all items of the user; positions are
counted from a prefix's first item, not from its last; Adam's beta2 is 0.999 instead of 0.98; batches and the choice of the
epoch are the suite's. The authors' program trains for 201 epochs by default, so a study that gives all models the same epochs
may stop it too early.
"""

from pydantic import Field

from alterrec.study.settings import Dropout, SequenceConfig

version = 1
label = "SASRec"


class Config(SequenceConfig):
    """The settings of the paper on its Amazon data."""

    dimension: int = Field(50, ge=2)
    heads: int = Field(1, ge=1)
    dropout: Dropout = 0.5
    batch_size: int = Field(128, ge=1)


def fit(task):
    from functools import partial

    from alterrec.sequence_models.prefix_network import fit_prefix_network
    from alterrec.sequence_models.published_sasrec import BinaryLearner, PublishedSASRec

    return fit_prefix_network(task, PublishedSASRec, partial(BinaryLearner, negatives=1, positive_weight=1.0))
