"""Markov: how often an item followed the prefix's last item in training; ties, and unseen last items, go by popularity.

The first-order chain that Rendle, Freudenthaler and Schmidt-Thieme (WWW 2010) factorise, here as plain counts.
"""

from alterrec.study.settings import ModelConfig

Config = ModelConfig
version = 1
family = "control"
label = "Markov"
deterministic = True


def fit(task):
    import numpy as np
    import torch
    from scipy.sparse import csr_array

    from alterrec.engine.contract import Fitted

    dataset = task.dataset
    items = dataset.catalogue_size
    sessions = [dataset.items_of(session) for session in dataset.sessions_of("train")]
    last = np.concatenate([session[:-1] for session in sessions])
    following = np.concatenate([session[1:] for session in sessions])
    transitions = csr_array((np.ones(len(last)), (last, following)), shape=(items, items))
    backing = dataset.train_count / (
        dataset.train_count.max() + 1
    )  # below 1: decides among equal counts only

    class Markov:
        blend_parts = None

        def scores(self, batch):
            rows = transitions[batch.last_item.cpu().numpy()].toarray() + backing
            return {"model": torch.from_numpy(rows).to(task.device)}

    return Fitted(Markov())
