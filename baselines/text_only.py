"""Text only: the text network of AlterRec trained alone under full softmax.

The same session encoder over projected frozen sentence embeddings, as in UniSRec (Hou et al., KDD 2022) without ids.
"""

from alterrec.study.settings import TextConfig

Config = TextConfig
version = 1
family = "single"
label = "Text only"
uses_text = True


def fit(task):
    from alterrec.engine.training_loop import train_learner
    from alterrec.method.learners import Single
    from alterrec.method.networks import text_network

    return train_learner(lambda: Single(text_network(*task.text_tensors(), task.config), "text"), task)
