"""WhitenRec: a transformer over whitened text vectors that a small network projects; no item IDs.

Zhang, Zhou, Zeng and Shen, Are ID embeddings necessary? Whitening pre-trained text embeddings for effective sequential
recommendation, ICDE 2024 (arXiv 2402.10602), with full whitening. No reference implementation of this paper is known to us;
github.com/lzz0007/DWSRec is the authors' program for a later method. Sentence vectors share a few strong directions, which
whitening removes before training. It is expected to be near text_only, or above it where sentence vectors are alike.

Departures: the later program has cosines over a temperature as scores, a dropout of 0.2 in the projection and a ReLU at its
end; here scores are products, and the projection has neither; the feed-forward layer has width 4d instead of 256; the
optimiser, the batches and the choice of the epoch are the suite's. `temperature` has no effect. WhitenRec+, which adds
vectors that are whitened in groups, is not here.
"""

from alterrec.study.settings import Dropout, SequenceConfig, SequenceInitialisation

version = 1
label = "WhitenRec"
uses_text = True


class Config(SequenceConfig):
    """The settings of the library that the authors' programs build on, with vectors of their width, 300."""

    dropout: Dropout = 0.5
    initialisation: SequenceInitialisation = "normal"


def fit(task):
    from functools import partial

    from torch import nn

    from alterrec.sequence_models.prefix_network import PrefixLearner, fit_prefix_network
    from alterrec.sequence_models.text_network import TextNetwork
    from alterrec.sequence_models.whitening import whitened

    class WhitenRec(TextNetwork):
        def __init__(self, items, config):
            text, text_of_item = task.text_tensors()
            super().__init__(whitened(text, text_of_item), text_of_item, config)
            d = config.dimension
            self.project = nn.Sequential(nn.Linear(text.shape[1], d), nn.ReLU(), nn.Linear(d, d))

        def item_vectors(self):
            return self.project(self.text)[self.text_of_item]

    return fit_prefix_network(task, WhitenRec, partial(PrefixLearner, modality="text"))
