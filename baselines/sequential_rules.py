"""Sequential rules: the items that followed the prefix's last item in training, the more the closer they followed.

Kamehkhosh, Jannach and Ludewig, A comparison of frequent pattern techniques and a deep learning method for session-based
recommendation, TempRec at RecSys 2017; reference implementation: SequentialRules of session-rec (Ludewig et al.). A rule
i -> j has the weight of every training session in which j comes after i, within `steps` items, summed over their
occurrences. With `steps: 1` it counts transitions, as `markov` does. It is expected to be strong where the order of items
matters.
Departures: the program keeps the 20 best rules of an item, here all are ranked; its linear weight falls below 0, here it
ends at 0.
"""

from typing import Literal

from pydantic import Field

from alterrec.study.settings import ModelConfig

version = 1
label = "Sequential rules"
deterministic = True
space = {
    "steps": {"low": 1, "high": 20},
    "weighting": ["same", "div", "linear", "quadratic", "log"],
}


class Config(ModelConfig):
    """The settings of the rules."""

    steps: int = Field(10, ge=1, description="Largest distance of the items of a rule. session-rec: 10")
    weighting: Literal["same", "div", "linear", "quadratic", "log"] = Field(
        "div",
        description="Weight of a distance d: 1, 1 / d, 1 - d / 10 (at least 0), 1 / d^2 or 1 / log10(d + 1.7). Paper: 'div'",
    )


def fit(task):
    import numpy as np
    import torch
    from scipy.sparse import csr_array

    from alterrec.engine.contract import Fitted

    weight = {
        "same": lambda distance: 1,
        "div": lambda distance: 1 / distance,
        "linear": lambda distance: max(0, 1 - distance / 10),
        "quadratic": lambda distance: 1 / distance**2,
        "log": lambda distance: 1 / np.log10(distance + 1.7),
    }[task.config.weighting]
    session, item, position = task.dataset.events_of("train")
    items = task.dataset.catalogue_size
    rules = csr_array((items, items))
    for distance in range(1, min(task.config.steps, position.max() - 1) + 1):
        within = session[:-distance] == session[distance:]
        pair = item[:-distance][within], item[distance:][within]
        rules += csr_array((np.full(len(pair[0]), weight(distance), float), pair), shape=rules.shape)

    class SequentialRules:
        blend_parts = None

        def scores(self, batch):
            return {"model": torch.from_numpy(rules[batch.last_item.cpu().numpy()].toarray()).to(task.device)}

    return Fitted(SequentialRules())
