"""Concat fusion: an item is a linear map of its ID vector beside its text vector; one encoder, one loss (naive fusion).

Feature concatenation as in FDSA (Zhang et al., IJCAI 2019), at the item level.
"""

from alterrec.config import NeuralConfig

Config = NeuralConfig
version = 1
family = "fusion"
label = "Concat fusion"
uses_text = True


def fit(task):
    from alterrec.learners import Fused
    from alterrec.networks import FusionNetwork
    from alterrec.training import fit

    items, config = task.dataset.catalogue_size, task.config
    return fit(lambda: Fused(FusionNetwork(items, *task.text_tensors(), "concat", config)), task)
