"""Gate fusion: an item is a gated mean of its ID vector and its text vector; one encoder, one loss (naive fusion).

The gated multimodal unit (Arevalo et al., ICLR workshop 2017) over two modalities. The gate has a value for every item and
dimension, so with a million items it takes up to 8 GiB, more than the other early fusions.
"""

from alterrec.study.settings import NaiveFusionConfig

Config = NaiveFusionConfig
version = 1
family = "fusion"
label = "Gate fusion"
uses_text = True
networks = ("id_only", "text_only")


def fit(task):
    from alterrec.method.learners import fit_early_fusion

    return fit_early_fusion(task, "gate")
