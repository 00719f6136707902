"""Score fusion with modality dropout: in training, an instance loses one of its two scores with some probability.

Neverova et al., ModDrop: adaptive multi-modal gesture recognition, TPAMI 2016 (arXiv 1501.00102); there is no reference
implementation. It is expected to balance the two networks, because each must predict alone at times
(alterrec/method/modality_dropout.py, with the departure from the paper).
"""

from pydantic import Field

from alterrec.study.settings import NaiveFusionConfig

version = 1
family = "fusion"
label = "Score fusion, modality dropout"
uses_text = True
networks = ("id_only", "text_only")
variant_of = "fusion_score"
space = {"modality_dropout": {"low": 0.1, "high": 0.9}}


class Config(NaiveFusionConfig):
    """The settings of a naive fusion, and the rate at which it drops a modality."""

    modality_dropout: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Probability that an instance is trained on one modality alone. With 1 no instance trains both networks",
    )


def fit(task):
    from functools import partial

    from alterrec.method.learners import fit_score_fusion
    from alterrec.method.modality_dropout import ModalityDropoutJoint

    return fit_score_fusion(task, partial(ModalityDropoutJoint, rate=task.config.modality_dropout))
