"""Random: independent uniform scores. The floor of every table: its expected Hits@K is K / N."""

from alterrec.study.settings import ModelConfig

Config = ModelConfig
version = 1
family = "control"
label = "Random"


def fit(task):
    import torch

    from alterrec.engine.contract import Fitted

    order = task.seed_torch()

    class Random:
        blend_parts = None

        def scores(self, batch):
            shape = len(batch), task.dataset.catalogue_size
            return {"model": torch.from_numpy(order.random(shape)).to(task.device)}

    return Fitted(Random())
