"""Association rules: recommend the items that share the most training sessions with the last item of the prefix.

Ludewig and Jannach, Evaluation of session-based recommendation algorithms, UMUAI 2018 (the baseline AR of that paper).

This file is a starting point for your own baseline. Copy it to baselines/NAME.py, replace this docstring (what the model
is, and its paper), and change the parts below. A file whose name starts with an underscore is not registered.
The contract is written out in alterrec/engine/contract.py: Baseline, Task, Scorer and Fitted.
"""

from pydantic import Field

from alterrec.study.settings import ModelConfig

version = 1  # Raise it by hand when a change alters results. It is part of every run's specification.
family = "external"  # The group in the tables: control, single, fusion, ensemble, method or external.
label = "Association rules"  # The name in tables and figures.
deterministic = (
    True  # The seed changes nothing, so one seed is run. Remove this line if your model draws at random.
)
# uses_text = True    # Uncomment it if your model reads task.text.
# space = {"minimum_support": {"low": 1, "high": 10}}  # Uncomment it if tuning shall vary settings of your Config.


class Config(ModelConfig):
    """The settings of the model. An unknown key in a study's config is an error that names the key.

    A neural model inherits from NeuralConfig instead. It then gets the training budget and the tuning of the others.
    """

    minimum_support: int = Field(1, ge=1, description="fewest training sessions that two items must share")


def fit(task):
    """Train on the training sessions of `task.dataset` and return the model, ready to rank."""
    # Imports of torch belong inside this function: the workflow reads every baseline and must start fast.
    import numpy as np
    import torch
    from scipy.sparse import csr_array

    from alterrec.engine.contract import Fitted

    dataset = task.dataset
    session, item, _ = dataset.events_of("train")  # every item of every training session
    shape = int(session[-1]) + 1, dataset.catalogue_size
    # [S, N] whether a session holds an item
    occurs = csr_array((np.ones(len(item)), (session, item)), shape=shape).sign()
    together = (occurs.T @ occurs).tocsr()  # [N, N] sessions that two items share
    together.setdiag(0)  # an item does not recommend itself
    together.data[together.data < task.config.minimum_support] = 0

    class AssociationRules:
        blend_parts = None  # The score is not a blend of an ID and a text part.

        def scores(self, batch):
            """[I, N] scores of all N items for each of the batch's I prefixes."""
            last = batch.last_item.cpu().numpy()  # [I]; batch.prefix_events() has the whole prefixes
            return {"model": torch.from_numpy(together[last].toarray()).to(task.device)}

    return Fitted(AssociationRules())
