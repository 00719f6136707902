"""Score fusion: AlterRec's two networks trained jointly under one loss on their summed scores (naive fusion).

The score splits exactly into an ID and a text part, so what each learns can be read off without re-scoring.
"""

from alterrec.config import NeuralConfig

Config = NeuralConfig
version = 1
family = "fusion"
label = "Score fusion"
uses_text = True
networks = ("id_only", "text_only")  # whose settings it takes where it is not tuned itself


def fit(task):
    from alterrec.learners import Joint
    from alterrec.networks import id_network, text_network
    from alterrec.training import fit

    items, config = task.dataset.catalogue_size, task.config
    return fit(
        lambda: Joint(
            id_network(items, config), text_network(*task.text_tensors(), config.of_text_network())
        ),
        task,
    )
