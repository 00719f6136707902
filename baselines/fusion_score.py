"""Score fusion: AlterRec's two networks trained jointly under one loss on their summed scores (naive fusion).

The score splits exactly into an ID and a text part, so what each learns can be read off without re-scoring.
"""

from alterrec.study.settings import NaiveFusionConfig

Config = NaiveFusionConfig
version = 1
family = "fusion"
label = "Score fusion"
uses_text = True
networks = ("id_only", "text_only")


def fit(task):
    from alterrec.method.learners import fit_score_fusion

    return fit_score_fusion(task)
