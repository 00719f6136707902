"""Text only, sampled: the text network of AlterRec trained alone against uniform negatives.

It has the loss and the number of negatives of AlterRec's random epochs, so it differs from text_only in the loss alone.
"""

from alterrec.study.settings import NegativesConfig, TextConfig

version = 1
family = "single"
label = "Text only, sampled softmax"
uses_text = True
networks = ("text_only",)
space = {"k2": [500, 2000, 6000, 20000]}  # decides the number of negatives


class Config(TextConfig, NegativesConfig):
    """The settings of the network, and the number of negatives, k2 - k1."""


def fit(task):
    from alterrec.engine.training_loop import train_learner
    from alterrec.method.learners import SampledSingle
    from alterrec.method.networks import text_network

    items, config = task.dataset.catalogue_size, task.config
    return train_learner(
        lambda: SampledSingle(text_network(*task.text_tensors(), config), "text", items, config), task
    )
