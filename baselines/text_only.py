"""Text only: the text network of AlterRec trained alone under full softmax.

The same session encoder over projected frozen sentence embeddings, as in UniSRec (Hou et al., KDD 2022) without ids.
"""

from alterrec.config import TextConfig

Config = TextConfig
version = 1
family = "single"
label = "Text only"
uses_text = True


def fit(task):
    from alterrec.learners import Single
    from alterrec.networks import text_network
    from alterrec.training import fit

    return fit(lambda: Single(text_network(*task.text_tensors(), task.config), "text"), task)
