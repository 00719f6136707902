"""ID ensemble: two ID networks of different seeds, blended as the late ensemble is.

It shows what ensembling two networks gives without any text.
"""

from alterrec.study.settings import Alpha, BlendConfig, Blending, NeuralConfig

version = 1
family = "ensemble"
label = "ID ensemble"
requires = ("id_only",)


class Config(NeuralConfig, BlendConfig):
    """The second network's settings, and the blend: chosen on validation unless stated."""

    blend: Blending = "validation"
    alpha: Alpha = "validation"


def fit(task):
    from alterrec.engine.training_loop import train_learner
    from alterrec.method.ensembles import blended, trained_network
    from alterrec.method.learners import Single
    from alterrec.method.networks import id_network

    first = trained_network(task, "id_only")
    second = train_learner(lambda: Single(id_network(task.dataset.catalogue_size, task.config), "id"), task)

    def parts(batch):
        return {"first": first(batch), "second": second.scorer.network(batch)}

    return blended(second, parts, ("first", "second"), task)
