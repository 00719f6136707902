"""SASRec with content initialisation and a trainable delta: an item is its text vector plus a small learned correction.

Pembek, Fatkulin, Klenitskiy and Vasilev, Let it go? Not quite: addressing item cold start in sequential recommendations with
content-based initialization, RecSys 2025 (arXiv 2507.19473). Reference implementation: github.com/ArtemF42/let-it-go. Text
vectors are reduced to d leading coordinates, scaled to length 1 and frozen; the length of a correction never exceeds
`delta_norm`, so that an item stays near its text. An item without training sessions has no correction. It is expected to be
near SASRec on frequent items and near text_only on rare ones.

Departures: the transformer is the one of sasrec_softmax; items without training sessions are in the softmax of training,
where the program leaves them out; the optimiser, the batches and the choice of the epoch are the suite's.
"""

from pydantic import Field

from alterrec.study.settings import Dropout, SequenceConfig, SequenceInitialisation

version = 1
label = "SASRec, text + delta"
uses_text = True
space = {"delta_norm": {"low": 0.1, "high": 1.0}}


class Config(SequenceConfig):
    """The settings of sasrec_softmax with wider vectors, and the authors' bound of the correction."""

    dimension: int = Field(128, ge=2)
    dropout: Dropout = 0.5
    initialisation: SequenceInitialisation = "normal"
    delta_norm: float = Field(
        0.5,
        gt=0,
        description="Largest Euclidean norm of an item's correction of its text vector, which has norm 1",
    )


def fit(task):
    import torch
    from torch import nn
    from torch.nn import functional as F

    from alterrec.sequence_models.prefix_network import PrefixLearner, fit_prefix_network
    from alterrec.sequence_models.text_network import TextNetwork
    from alterrec.sequence_models.whitening import leading_coordinates

    class CorrectedTexts(TextNetwork):
        def __init__(self, items, config):
            text, text_of_item = task.text_tensors()
            reduced = leading_coordinates(text, text_of_item, config.dimension, standardised=False)
            super().__init__(F.normalize(reduced, dim=1), text_of_item, config, stored=True)
            self.delta = nn.Embedding(items, config.dimension)
            warm = torch.from_numpy(task.dataset.train_count > 0)[:, None]
            self.register_buffer("warm", warm, persistent=False)

        def item_vectors(self):
            return self.text[self.text_of_item] + self.delta.weight

    class BoundedDelta(PrefixLearner):
        """After every step, corrections that became too long are shortened, and those of cold items removed."""

        def __init__(self, network):
            super().__init__(network, "joint")
            self.shorten()

        def update(self, optimiser):
            optimiser.step()
            self.shorten()

        @torch.no_grad()
        def shorten(self):
            network = self.network
            network.delta.weight.renorm_(p=2, dim=0, maxnorm=task.config.delta_norm).mul_(network.warm)

    return fit_prefix_network(task, CorrectedTexts, BoundedDelta)
