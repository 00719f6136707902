"""Concat fusion: an item is a linear map of its ID vector beside its text vector; one encoder, one loss (naive fusion).

Concatenation, which FDSA (Zhang et al., IJCAI 2019) applies to the states of a session, is here applied to items.
"""

from alterrec.study.settings import NaiveFusionConfig

Config = NaiveFusionConfig
version = 1
family = "fusion"
label = "Concat fusion"
uses_text = True
networks = ("id_only", "text_only")


def fit(task):
    from alterrec.method.learners import fit_early_fusion

    return fit_early_fusion(task, "concat")
