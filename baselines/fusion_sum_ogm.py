"""Sum fusion with on-the-fly gradient modulation: the branch that leads is slowed down, and noise is added (OGM-GE).

Peng et al., Balanced multimodal learning via on-the-fly gradient modulation, CVPR 2022 (arXiv 2203.15332). A branch leads
by what its vectors add to the score. The departure from the paper, the reference implementation and the cost are those of
fusion_score_ogm. It is expected to balance the two branches.
"""

from alterrec.registry import sibling

Config = sibling(__file__, "fusion_score_ogm").Config
version = 1
family = "fusion"
label = "Sum fusion, OGM-GE"
uses_text = True
networks = ("id_only", "text_only")
variant_of = "fusion_sum"
space = sibling(__file__, "fusion_score_ogm").space


def fit(task):
    from functools import partial

    from alterrec.method.learners import fit_early_fusion
    from alterrec.method.modulation import ModulatedFused

    config = task.config
    learner = partial(ModulatedFused, strength=config.modulation, noise=config.modulation_noise)
    return fit_early_fusion(task, "sum", learner)
