"""Item-kNN: the items that share most training sessions with the prefix's last item, corrected for how often both occur.

The baseline Item-KNN of Hidasi, Karatzoglou, Baltrunas and Tikk, Session-based recommendations with recurrent neural
networks, ICLR 2016; reference implementation: ItemKNN of session-rec (Ludewig et al.). The similarity of items i and j is
n_ij / ((n_i + r)^a (n_j + r)^(1 - a)), where n counts the training sessions that hold the item, or both. With a = 1/2 and
r = 0 it is the cosine of their columns in the matrix of sessions and items. It is expected to be a strong simple model on
dense data; it reads the last item alone and no order.
Departures: the program counts an item once per occurrence, here once per session as in its formula; and it keeps the 100
most similar items only, here all are ranked.
"""

from pydantic import Field

from alterrec.study.settings import ModelConfig

version = 1
label = "Item-kNN"
deterministic = True
space = {
    "regularisation": {"low": 1.0, "high": 100.0, "log": True},
    "balance": {"low": 0.0, "high": 1.0},
}


class Config(ModelConfig):
    """The settings of the similarity."""

    regularisation: float = Field(
        20.0, ge=0, description="Number r that is added to an item's number of sessions. session-rec: 20"
    )
    balance: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Exponent a of the last item's number of sessions; that of the scored item is 1 - a. 0.5 is the cosine, "
        "1 does not correct for popularity. session-rec: 0.5",
    )


def fit(task):
    import numpy as np
    import torch
    from scipy.sparse import csr_array

    from alterrec.engine.contract import Fitted

    dataset, config = task.dataset, task.config
    session, item, _ = dataset.events_of("train")
    shape = int(session[-1]) + 1, dataset.catalogue_size
    occurs = csr_array((np.ones(len(item)), (session, item)), shape=shape).sign()  # [S, N]
    together = (occurs.T @ occurs).tocsr()  # [N, N]
    together.setdiag(0)
    size = np.maximum(occurs.sum(0), 1) + config.regularisation  # [N]; a cold item shares no session

    class ItemKNN:
        blend_parts = None

        def scores(self, batch):
            last = batch.last_item.cpu().numpy()
            norm = size[last, None] ** config.balance * size ** (1 - config.balance)
            return {"model": torch.from_numpy(together[last].toarray() / norm).to(task.device)}

    return Fitted(ItemKNN())
