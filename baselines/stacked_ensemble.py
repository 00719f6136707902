"""Stacked ensemble: the networks of the late ensemble, with weights that are learned on validation.

Wolpert, Stacked generalization, Neural Networks 1992. The late ensemble takes the kind of blend and alpha with the best
validation Hits@20 from a grid; here the weights of both scores, as they are and standardised, minimise the cross-entropy of
the validation targets (alterrec/ranking/stacking.py). It is expected to be close to the late ensemble: two numbers decide
there, four here. There is no reference implementation.
"""

from alterrec.study.settings import ModelConfig

Config = ModelConfig
version = 1
family = "ensemble"
label = "Stacked ensemble"
uses_text = True
requires = ("id_only", "text_only")


def fit(task):
    from alterrec.method.ensembles import stacked, trained_network

    id_network, text_network = (trained_network(task, model) for model in task.required)

    def parts(batch):
        return {"id": id_network(batch), "text": text_network(batch)}

    return stacked(parts, len(task.required), task)
