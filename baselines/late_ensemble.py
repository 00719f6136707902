"""Late ensemble: the ID and the text network, trained independently and blended afterwards.

It has AlterRec's networks and budget but no training in turns. AlterRec also differs from it in the loss and in the
choice of the epoch: late_ensemble_sampled and alterrec_random change these one at a time.
"""

from alterrec.study.settings import Alpha, BlendConfig, Blending

version = 1
family = "ensemble"
label = "Late ensemble"
uses_text = True
requires = ("id_only", "text_only")


class Config(BlendConfig):
    """Alpha and the kind of blend are chosen on validation unless stated."""

    blend: Blending = "validation"
    alpha: Alpha = "validation"


def fit(task):
    from alterrec.engine.contract import Fitted
    from alterrec.method.ensembles import blended, trained_network

    id_network, text_network = (trained_network(task, model) for model in task.required)
    return blended(
        Fitted(None),
        lambda batch: {"id": id_network(batch), "text": text_network(batch)},
        ("id", "text"),
        task,
    )
