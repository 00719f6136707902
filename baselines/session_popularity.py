"""Session popularity: the items that occur most often in the prefix, then the items that occur most often in training.

The baseline S-POP of Hidasi, Karatzoglou, Baltrunas and Tikk, Session-based recommendations with recurrent neural
networks, ICLR 2016; reference implementation: SessionPop of session-rec (Ludewig et al.). The score of an item is
n + c / (1 + c), where n counts it in the prefix and c in the training sessions. It is expected to be strong where sessions
return to their items, and to be popularity where they do not.
Departure: the program gives c / (1 + c) to the 100 most popular items only, here every item has it.
"""

from alterrec.study.settings import ModelConfig

Config = ModelConfig
version = 1
label = "Session popularity"
deterministic = True


def fit(task):
    import torch

    from alterrec.engine.contract import Fitted

    count = torch.from_numpy(task.dataset.train_count).to(task.device).double()
    popularity = count / (1 + count)

    class SessionPopularity:
        blend_parts = None

        def scores(self, batch):
            instance, item, _ = batch.prefix_events()
            scores = popularity.repeat(len(batch), 1)
            scores.index_put_((instance, item), torch.ones_like(item, dtype=scores.dtype), accumulate=True)
            return {"model": scores}

    return Fitted(SessionPopularity())
