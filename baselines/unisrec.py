"""UniSRec: a transformer over item vectors that a mixture of experts makes from texts; no item IDs.

Hou, Mu, Zhao, Li, Ding and Wen, Towards universal sequence representation learning for recommender systems, KDD 2022 (arXiv
2206.05941), fine-tuned on one dataset in the inductive setting. Reference implementation: github.com/RUCAIBox/UniSRec. It is
expected to be near text_only and to score items that were never seen in training.

Text vectors are multiplied by the square root of their width, so that the coordinates of one with norm 1 have mean square 1.
The authors' vectors come from BERT and are not scaled to norm 1. With norm 1, adapted texts would start far smaller than the
vectors of positions. Hu et al. (AlphaFuse, SIGIR 2025) train UniSRec with such a factor, too: 40 for vectors of width 1536
and norm 1.

Departures: there is no pre-training on other datasets; the adaptor's dropout and noise are drawn once per step, for prefixes
and catalogue alike; the gates start from `initialisation`, where the program has zeros; the feed-forward layer has width 4d
instead of 256; the optimiser, the batches and the choice of the epoch are the suite's. A step takes more time and memory than
one of text_only, because eight experts read all texts, and each keeps a changed copy of them for the gradient: up to 18 GiB
with a million items.
"""

from pydantic import Field

from alterrec.study.settings import Dropout, SequenceConfig, SequenceInitialisation

version = 2
label = "UniSRec, text"
uses_text = True
space = {"adaptor_dropout": {"low": 0.0, "high": 0.5}, "temperature": {"low": 0.02, "high": 0.2, "log": True}}


class Config(SequenceConfig):
    """The authors' settings."""

    dropout: Dropout = 0.5
    initialisation: SequenceInitialisation = "normal"
    experts: int = Field(8, ge=1, description="Number of experts of the adaptor")
    adaptor_dropout: Dropout = Field(
        0.2, description="Dropout probability of the text vectors in each expert"
    )


def fit(task):
    return fit_unisrec(task, with_ids=False)


def fit_unisrec(task, with_ids: bool):
    """Train UniSRec on the texts alone, or on the sum of an item's adapted text and of a free vector."""
    from functools import partial

    from torch import nn

    from alterrec.sequence_models.experts import MixtureOfExperts
    from alterrec.sequence_models.prefix_network import PrefixLearner, fit_prefix_network
    from alterrec.sequence_models.text_network import TextNetwork, cosines

    class UniSRec(TextNetwork):
        def __init__(self, items, config):
            text, text_of_item = task.text_tensors()
            super().__init__(text * text.shape[1] ** 0.5, text_of_item, config)
            self.temperature = config.temperature
            self.adaptor = MixtureOfExperts(
                text.shape[1], config.dimension, config.experts, config.adaptor_dropout
            )
            self.item = nn.Embedding(items, config.dimension) if with_ids else None

        def item_vectors(self):
            of_texts = self.adaptor(self.text)[self.text_of_item]
            return of_texts + self.item.weight if with_ids else of_texts

        def forward(self, batch):
            return cosines(*super().forward(batch), self.temperature)

    return fit_prefix_network(task, UniSRec, partial(PrefixLearner, modality="joint" if with_ids else "text"))
