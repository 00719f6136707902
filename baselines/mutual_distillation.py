"""Mutual distillation: the ID and the text network train together, each also on what the other one predicts.

Zhang et al., Deep mutual learning, CVPR 2018 (arXiv 1706.00384). Reference implementation: the authors' program,
github.com/YingZhangDUT/Deep-Mutual-Learning. The scores of the two networks are blended as in the late ensemble. It is a
rival of AlterRec: in both, each network learns from the other's predictions, here from all of them and at every step. The
mathematics and the departures from the paper are in alterrec/method/distillation.py. A step costs several of id_only: two
networks are trained, and each score is computed twice more for the divergence in each direction.
"""

from pydantic import Field

from alterrec.study.settings import Alpha, BlendConfig, Blending, FusionConfig

version = 1
label = "Mutual distillation"
uses_text = True
networks = ("id_only", "text_only")
space = {
    "distillation": {"low": 0.1, "high": 10.0, "log": True},
    "distillation_temperature": [1.0, 2.0, 4.0],
}


class Config(FusionConfig, BlendConfig):
    """The settings of two networks, of what they learn from each other, and of the blend: chosen on validation."""

    blend: Blending = "validation"
    alpha: Alpha = "validation"
    distillation: float = Field(
        1.0,
        ge=0,
        description="Weight of the divergence from the other network's predictions. Zhang et al.: 1",
    )
    distillation_temperature: float = Field(
        1.0,
        gt=0,
        description="Scores are divided by it before the divergence is taken; a larger one lets lower ranks count "
        "more. Zhang et al.: 1",
    )


def fit(task):
    from alterrec.engine.training_loop import train_learner
    from alterrec.method.distillation import MutualLearner
    from alterrec.method.ensembles import blended
    from alterrec.method.networks import id_network, text_network

    items, config = task.dataset.catalogue_size, task.config

    def build():
        return MutualLearner(
            id_network(items, config),
            text_network(*task.text_tensors(), config.of_text_network()),
            config.distillation,
            config.distillation_temperature,
        )

    fitted = train_learner(build, task)
    return blended(fitted, fitted.scorer.scores, ("id", "text"), task)
