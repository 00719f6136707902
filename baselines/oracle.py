"""Oracle: knows the target. The ceiling of every table, and a check that metrics reach 1."""

from alterrec.study.settings import ModelConfig

Config = ModelConfig
version = 1
family = "control"
label = "Oracle"
deterministic = True


def fit(task):
    import torch

    from alterrec.engine.contract import Fitted

    class Oracle:
        blend_parts = None

        def scores(self, batch):
            return {"model": torch.nn.functional.one_hot(batch.target, task.dataset.catalogue_size).float()}

    return Fitted(Oracle())
