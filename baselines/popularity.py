"""Popularity: the score of an item is how often it occurs in the training sessions, whatever the prefix."""

from alterrec.study.settings import ModelConfig

Config = ModelConfig
version = 1
family = "control"
label = "Popularity"
deterministic = True


def fit(task):
    import torch

    from alterrec.engine.contract import Fitted

    class Popularity:
        blend_parts = None
        counts = torch.from_numpy(task.dataset.train_count).to(task.device)

        def scores(self, batch):
            return {"model": self.counts.float().expand(len(batch), -1)}

    return Fitted(Popularity())
