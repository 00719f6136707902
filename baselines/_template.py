"""Item-KNN: recommend the items that share the most training sessions with the last item of the prefix.

Hidasi, Karatzoglou, Baltrunas and Tikk, Session-based recommendations with recurrent neural networks, ICLR 2016 (the
baseline Item-KNN of that paper).

This file is a starting point for your own baseline. Copy it to baselines/NAME.py, replace this docstring (what the model
is, and its paper), and change the parts below. A file whose name starts with an underscore is not registered.
The contract is written out in alterrec/engine/contract.py: Baseline, Task, Scorer and Fitted.
"""

from pydantic import Field

from alterrec.study.settings import ModelConfig

version = 1  # Raise it by hand when a change alters results. It is part of every run's specification.
family = "external"  # The group in the tables: control, single, fusion, ensemble, method or external.
label = "Item-KNN"  # The name in tables and figures.
deterministic = (
    True  # The seed changes nothing, so one seed is run. Remove this line if your model draws at random.
)
# uses_text = True    # Uncomment it if your model reads task.text.
# space = {"regularisation": {"low": 1.0, "high": 100.0, "log": True}}  # What tuning varies of a neural model's Config.


class Config(ModelConfig):
    """The settings of the model. An unknown key in a study's config is an error that names the key.

    A neural model inherits from NeuralConfig instead. It then gets the training budget and the tuning of the others.
    """

    regularisation: float = Field(20.0, ge=0, description="added to the number of sessions of each item")


def fit(task):
    """Train on the training sessions of `task.dataset` and return the model, ready to rank."""
    # Imports of torch belong inside this function: the workflow reads every baseline and must start fast.
    import numpy as np
    import torch
    from scipy.sparse import csr_array

    from alterrec.engine.contract import Fitted

    dataset = task.dataset
    sessions = [np.unique(dataset.items_of(session)) for session in dataset.sessions_of("train")]
    row = np.repeat(np.arange(len(sessions)), [len(items) for items in sessions])
    column = np.concatenate(sessions)
    shape = (len(sessions), dataset.catalogue_size)
    # [S, N] whether a session holds an item
    occurs = csr_array((np.ones(len(row)), (row, column)), shape=shape)
    together = (occurs.T @ occurs).tocsr()  # [N, N] sessions that two items share
    together.setdiag(0)  # an item is not its own neighbour
    norm = np.sqrt(occurs.sum(0) + task.config.regularisation)  # [N]

    class ItemKNN:
        blend_parts = None  # The score is not a blend of an ID and a text part.

        def scores(self, batch):
            """[I, N] scores of all N items for each of the batch's I prefixes."""
            last = batch.last_item.cpu().numpy()  # [I]; batch.tokens holds the whole prefixes
            similarity = together[last].toarray() / norm[last, None] / norm
            return {"model": torch.from_numpy(similarity).to(task.device)}

    return Fitted(ItemKNN())
