"""V-SkNN: the items of the k training sessions that are most similar to the prefix; later items of the prefix weigh more.

Ludewig and Jannach, Evaluation of session-based recommendation algorithms, UMUAI 2018; reference implementation:
VMContextKNN of session-rec. The similarity of a training session is the mean of the prefix's `weighting` over its items,
with 0 for those that the session lacks. A session gives its similarity, times the `weighting_score` of the latest item that
both hold, to all its items. An item's score is the sum over the k sessions, times 1 + `idf_weighting` * log(sessions /
sessions with the item). It is expected to be among the strongest models without learning.
Departures: prepared data hold an order of the sessions and no times, so the most recent sessions are the last ones in this
order, which is that of the source. For `idf_weighting` the program counts an item's occurrences, here the sessions that hold
it count. The program's linear weights, which fall below 0, are left out.
"""

from typing import Literal

from pydantic import Field

from alterrec.study.settings import ModelConfig

version = 1
label = "V-SkNN"
deterministic = True
space = {
    "k": [50, 100, 500],
    "sample_size": [500, 1000, 2500, 5000, 10000],
    "weighting": ["same", "div", "quadratic", "log"],
    "weighting_score": ["same", "div", "quadratic", "log"],
    "idf_weighting": [0.0, 1.0, 2.0, 5.0, 10.0],
}

Weighting = Literal["same", "div", "quadratic", "log"]


class Config(ModelConfig):
    """The settings of the neighbours and of their items' scores."""

    k: int = Field(100, ge=1, description="Number of most similar sessions. session-rec: 100")
    sample_size: int = Field(
        1000,
        ge=1,
        description="Number of most recent sessions with an item of the prefix that are compared. session-rec: 1000",
    )
    weighting: Weighting = Field(
        "div",
        description="Weight in the similarity of the item at place d from the end of a prefix of n items, where the last has "
        "d = 1 and p = (n - d + 1) / n: 1, p, p^2 or 1 / log10(d + 0.7). session-rec: 'div'",
    )
    weighting_score: Weighting = Field(
        "div",
        description="Factor of a session whose latest shared item is at place d from the end of the prefix: 1, 1 / d, "
        "1 / d^2 or 1 / log10(d + 1.7). session-rec: 'div'",
    )
    idf_weighting: float = Field(
        0.0, ge=0, description="How much a rare item's score is raised. session-rec: 0"
    )


def fit(task):
    import numpy as np
    import torch
    from scipy.sparse import csr_array

    from alterrec.engine.contract import Fitted
    from alterrec.sequence_models.session_neighbours import last_positions, nearest_sessions

    dataset, config = task.dataset, task.config
    similarity_weight = {
        "same": lambda d, n: np.ones(len(d)),
        "div": lambda d, n: (n - d + 1) / n,
        "quadratic": lambda d, n: ((n - d + 1) / n) ** 2,
        "log": lambda d, n: 1 / np.log10(d + 0.7),
    }[config.weighting]
    score_weight = {
        "same": lambda d: np.ones(len(d)),
        "div": lambda d: 1 / d,
        "quadratic": lambda d: 1 / d**2,
        "log": lambda d: 1 / np.log10(d + 1.7),
    }[config.weighting_score]

    sessions = last_positions(*dataset.events_of("train"), dataset.catalogue_size).sign()  # [S, N]
    by_item = sessions.T.tocsr()
    rarity = np.log(sessions.shape[0] / np.maximum(sessions.sum(0), 1))
    item_weight = 1 + config.idf_weighting * rarity  # [N]

    class VSkNN:
        blend_parts = None

        def scores(self, batch):
            events = (column.cpu().numpy() for column in batch.prefix_events())
            position = last_positions(*events, dataset.catalogue_size)  # [I, N]
            length, distinct = position.max(1).toarray().ravel(), np.diff(position.indptr)  # [I]
            length_of_entry = np.repeat(length, distinct)
            weights = position.copy()
            weights.data = similarity_weight(length_of_entry - position.data + 1, length_of_entry)
            prefix, session, similarity = nearest_sessions(weights, by_item, config.k, config.sample_size)
            latest = sessions[session].multiply(position[prefix]).max(1).toarray().ravel()  # [P]
            weight = similarity / distinct[prefix] * score_weight(length[prefix] - latest + 1)
            neighbours = csr_array((weight, (prefix, session)), shape=(len(batch), sessions.shape[0]))
            return {
                "model": torch.from_numpy((neighbours @ sessions).toarray() * item_weight).to(task.device)
            }

    return Fitted(VSkNN())
