"""Gate fusion: an item is a gated mean of its ID vector and its text vector; one encoder, one loss (naive fusion).

The gated multimodal unit (Arevalo et al., ICLR workshop 2017) over two modalities.
"""

from alterrec.config import NeuralConfig

Config = NeuralConfig
version = 1
family = "fusion"
label = "Gate fusion"
uses_text = True


def fit(task):
    from alterrec.learners import Fused
    from alterrec.networks import FusionNetwork
    from alterrec.training import fit

    items, config = task.dataset.catalogue_size, task.config
    return fit(lambda: Fused(FusionNetwork(items, *task.text_tensors(), "gate", config)), task)
