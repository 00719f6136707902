"""Late ensemble: the ID and the text network, trained independently and blended afterwards.

It has AlterRec's networks and budget but no training in turns. What AlterRec gains over it is due to the alternation.
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

    networks = {"id": trained_network(task, "id_only"), "text": trained_network(task, "text_only")}
    return blended(
        Fitted(None), lambda batch: {part: net(batch) for part, net in networks.items()}, ("id", "text"), task
    )
