"""STAN: as V-SkNN, the items of the k most similar training sessions; those close to an item of the prefix weigh more.

Garg, Gupta, Malhotra, Vig and Shroff, Sequence and time aware neighborhood for session-based recommendations: STAN, SIGIR
2019; reference implementation: STAN of session-rec (Ludewig et al.). The similarity is the cosine of prefix and session,
with the weight exp(-d / `lambda_spw`) for an item d places before the prefix's end. A session gives its similarity, times
exp(-d / `lambda_inh`), to each of its items, where d is the distance to its last item that the prefix holds. It is
expected to be among the strongest models without learning, above V-SkNN where the order of items matters.
Departures: the paper's third factor, the age of a session, is left out (as with `lambda_snh: None` in the program), because
prepared data hold an order of the sessions and no times. The most recent sessions are the last ones in this order, which is
that of the source.
"""

from pydantic import Field

from alterrec.study.settings import ModelConfig

version = 1
label = "STAN"
deterministic = True
space = {
    "k": [100, 200, 500],
    "sample_size": [1000, 2500, 5000, 10000],
    "lambda_spw": {"low": 0.1, "high": 30.0, "log": True},
    "lambda_inh": {"low": 0.1, "high": 30.0, "log": True},
}


class Config(ModelConfig):
    """The settings of the neighbours and of their items' scores."""

    k: int = Field(100, ge=1, description="Number of most similar sessions. session-rec: 100")
    sample_size: int = Field(
        5000,
        ge=1,
        description="Number of most recent sessions with an item of the prefix that are compared. session-rec: 5000",
    )
    lambda_spw: float = Field(
        1.02, gt=0, description="Places over which an item of the prefix loses weight. session-rec: 1.02"
    )
    lambda_inh: float = Field(
        2.05, gt=0, description="Places over which an item of a neighbour loses weight. session-rec: 2.05"
    )


def fit(task):
    import numpy as np
    import torch
    from scipy.sparse import csr_array, diags_array

    from alterrec.engine.contract import Fitted
    from alterrec.sequence_models.session_neighbours import last_positions, nearest_sessions

    dataset, config = task.dataset, task.config
    sessions = last_positions(*dataset.events_of("train"), dataset.catalogue_size)  # [S, N] positions
    norm = np.sqrt(np.diff(sessions.indptr))  # [S]
    by_item = (sessions.sign().T @ diags_array(1 / norm)).tocsr()  # [N, S]

    class STAN:
        blend_parts = None

        def scores(self, batch):
            events = (column.cpu().numpy() for column in batch.prefix_events())
            prefixes = last_positions(*events, dataset.catalogue_size)  # [I, N]
            length = np.repeat(prefixes.max(1).toarray().ravel(), np.diff(prefixes.indptr))
            prefixes.data = np.exp((prefixes.data - length) / config.lambda_spw)
            prefix, session, similarity = nearest_sessions(prefixes, by_item, config.k, config.sample_size)
            similarity = similarity / np.sqrt(prefixes.power(2).sum(1))[prefix]
            neighbours = sessions[session]  # [P, N]
            shared = neighbours.multiply(prefixes.sign()[prefix]).max(1).toarray().ravel()  # [P] position
            pair = np.repeat(np.arange(len(session)), np.diff(neighbours.indptr))
            distance = np.abs(neighbours.data - shared[pair])
            neighbours.data = similarity[pair] * np.exp(-distance / config.lambda_inh)
            shape = len(batch), len(session)
            of_prefix = csr_array((np.ones(len(session)), (prefix, np.arange(len(session)))), shape=shape)
            return {"model": torch.from_numpy((of_prefix @ neighbours).toarray()).to(task.device)}

    return Fitted(STAN())
