"""Sum fusion: an item is the sum of its ID vector and its text vector; one encoder, one loss (naive fusion).

The merge of UniSRec's transductive setting (Hou et al., KDD 2022).
"""

from alterrec.config import NeuralConfig

Config = NeuralConfig
version = 1
family = "fusion"
label = "Sum fusion"
uses_text = True


def fit(task):
    from alterrec.learners import Fused
    from alterrec.networks import FusionNetwork
    from alterrec.training import fit

    items, config = task.dataset.catalogue_size, task.config
    return fit(lambda: Fused(FusionNetwork(items, *task.text_tensors(), "sum", config)), task)
