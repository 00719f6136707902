"""AlterRec: the two networks trained in turns with hard negatives from each other (arXiv 2402.08921; alterrec/method.py)."""

from alterrec.config import AlterRecConfig

Config = AlterRecConfig
version = 1
family = "method"
label = "AlterRec"
uses_text = True
networks = ("id_only", "text_only")  # whose settings it takes where it is not tuned itself


def fit(task):
    from alterrec.ensembles import blended
    from alterrec.method import Alternating
    from alterrec.networks import id_network, text_network
    from alterrec.training import fit

    items, config = task.dataset.catalogue_size, task.config

    def build():
        return Alternating(
            id_network(items, config),
            text_network(*task.text_tensors(), config.of_text_network()),
            items,
            config,
        )

    fitted = fit(build, task)
    return blended(fitted, fitted.scorer.scores, ("id", "text"), task)
