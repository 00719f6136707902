"""Score fusion with on-the-fly gradient modulation: the network that leads is slowed down, and noise is added (OGM-GE).

Peng et al., Balanced multimodal learning via on-the-fly gradient modulation, CVPR 2022 (arXiv 2203.15332). Departure from
the paper: the factor and the noise apply to Adam's step, because Adam divides a factor of the gradient out again
(alterrec/method/modulation.py). So the noise does not shrink with the gradients. Reference implementation:
github.com/GeWu-Lab/OGM-GE_CVPR2022. It is expected to balance the two networks. A step costs more than one of fusion_score:
each network's scores of the catalogue are computed once more, to find which one leads.
"""

from pydantic import Field

from alterrec.study.settings import NaiveFusionConfig

version = 1
family = "fusion"
label = "Score fusion, OGM-GE"
uses_text = True
networks = ("id_only", "text_only")
variant_of = "fusion_score"
space = {"modulation": {"low": 0.03, "high": 1.0, "log": True}}


class Config(NaiveFusionConfig):
    """The settings of a naive fusion, and those of the modulation."""

    modulation: float = Field(
        0.1,
        ge=0,
        description="How strongly the leading branch is slowed down, the paper's alpha: its step is multiplied by "
        "1 - tanh(alpha * its lead)",
    )
    modulation_noise: bool = Field(
        True, description="Whether Gaussian noise is added to the steps of both branches (GE of OGM-GE)"
    )


def fit(task):
    from functools import partial

    from alterrec.method.learners import fit_score_fusion
    from alterrec.method.modulation import ModulatedJoint

    config = task.config
    learner = partial(ModulatedJoint, strength=config.modulation, noise=config.modulation_noise)
    return fit_score_fusion(task, learner)
