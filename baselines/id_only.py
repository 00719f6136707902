"""ID only: the ID network of AlterRec trained alone under full softmax.

A causal transformer over free item embeddings, after SASRec (Kang and McAuley, ICDM 2018) with the cross-entropy over
the whole catalogue that Klenitskiy and Vasilev (RecSys 2023) show it to need.
"""

from alterrec.study.settings import NeuralConfig

Config = NeuralConfig
version = 1
family = "single"
label = "ID only"


def fit(task):
    from alterrec.engine.training_loop import train_learner
    from alterrec.method.learners import Single
    from alterrec.method.networks import id_network

    return train_learner(lambda: Single(id_network(task.dataset.catalogue_size, task.config), "id"), task)
