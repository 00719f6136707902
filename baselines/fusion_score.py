"""Score fusion: AlterRec's two networks trained jointly under one loss on their summed scores (naive fusion).

The score splits exactly into an ID and a text part, so what each learns can be read off without re-scoring.
"""

from alterrec.study.settings import FusionConfig

Config = FusionConfig
version = 1
family = "fusion"
label = "Score fusion"
uses_text = True
networks = ("id_only", "text_only")


def fit(task):
    from alterrec.engine.training_loop import train_learner
    from alterrec.method.learners import Joint
    from alterrec.method.networks import id_network, text_network

    items, config = task.dataset.catalogue_size, task.config
    return train_learner(
        lambda: Joint(
            id_network(items, config), text_network(*task.text_tensors(), config.of_text_network())
        ),
        task,
    )
