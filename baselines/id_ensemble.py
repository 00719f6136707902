"""ID ensemble: two ID networks of different seeds, blended as the late ensemble is: what ensembling alone gives."""

from alterrec.config import BlendConfig, Blending, NeuralConfig, Share

version = 1
family = "ensemble"
label = "ID ensemble"
requires = ("id_only",)


class Config(NeuralConfig, BlendConfig):
    """The second network's settings, and the blend: chosen on validation unless stated."""

    blend: Blending = "validation"
    alpha: Share = "validation"


def fit(task):
    from alterrec.ensembles import blended, trained_network
    from alterrec.learners import Single
    from alterrec.networks import id_network
    from alterrec.training import fit

    first = trained_network(task, "id_only")
    second = fit(lambda: Single(id_network(task.dataset.catalogue_size, task.config), "id"), task)

    def parts(batch):
        return {"first": first(batch), "second": second.scorer.network(batch)}

    return blended(second, parts, ("first", "second"), task)
