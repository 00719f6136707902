"""AlterRec: an ID and a text network trained in turns, each with hard negatives from the other (arXiv 2402.08921).

The method is in alterrec/method/alternation.py.
"""

from alterrec.study.settings import AlterRecConfig

Config = AlterRecConfig
version = 2
family = "method"
label = "AlterRec"
uses_text = True
networks = ("id_only_sampled", "text_only_sampled")
space = {
    "k1": {"low": 20, "high": 200},
    "k2": [500, 2000, 6000, 20000],
    "m_gap": {"low": 1, "high": 4},
    "m_random": {"low": 2, "high": 8},
}


def fit(task):
    from alterrec.engine.training_loop import train_learner
    from alterrec.method.alternation import Alternating
    from alterrec.method.ensembles import blended
    from alterrec.method.networks import id_network, text_network

    items, config = task.dataset.catalogue_size, task.config

    def build():
        return Alternating(
            id_network(items, config),
            text_network(*task.text_tensors(), config.of_text_network()),
            items,
            config,
        )

    fitted = train_learner(build, task)
    return blended(fitted, fitted.scorer.scores, ("id", "text"), task)
