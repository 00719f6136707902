"""Sum fusion: an item is the sum of its ID vector and its text vector; one encoder, one loss (naive fusion).

The merge of UniSRec's transductive setting (Hou et al., KDD 2022).
"""

from alterrec.study.settings import NaiveFusionConfig

Config = NaiveFusionConfig
version = 1
family = "fusion"
label = "Sum fusion"
uses_text = True
networks = ("id_only", "text_only")


def fit(task):
    from alterrec.method.learners import fit_early_fusion

    return fit_early_fusion(task, "sum")
