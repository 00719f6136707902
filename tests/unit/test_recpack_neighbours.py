"""Sequential rules and STAN recommend as in RecPack 0.3.6, item by item up to a factor for each prefix.

It runs where RecPack is installed: `pip install --no-deps recpack==0.3.6` beside the suite.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_matrix

from tests.unit.test_neighbours import ITEMS, scored

pytest.importorskip("recpack.algorithms.stan", reason="RecPack is not installed")

GENERATOR = np.random.default_rng(0)
TRAINING, PREFIXES = (
    [GENERATOR.permutation(ITEMS)[: GENERATOR.integers(2, 6)].tolist() for _ in range(n)] for n in (60, 20)
)


def recpack_scores(algorithm) -> np.ndarray:
    """[I, N] scores of RecPack for PREFIXES. A session is a user.

    No two items have the same time: a session that ends when the prefix does would not be its neighbour in RecPack.
    """
    from recpack.matrix import InteractionMatrix

    def matrix(sessions: list[list[int]], first: int) -> InteractionMatrix:
        users = enumerate(sessions, first)
        rows = [(user, item, ITEMS * user + t) for user, session in users for t, item in enumerate(session)]
        frame = pd.DataFrame(rows, columns=["user", "item", "time"])
        shape = len(TRAINING) + len(PREFIXES), ITEMS
        return InteractionMatrix(frame, item_ix="item", user_ix="user", timestamp_ix="time", shape=shape)

    algorithm.fit(matrix(TRAINING, 0))
    return algorithm.predict(matrix(PREFIXES, len(TRAINING))).toarray()[len(TRAINING) :]


def own_scores(name: str, config: dict) -> np.ndarray:
    """[I, N] scores of the suite's model for PREFIXES."""
    with_target = [[*prefix, 0] for prefix in PREFIXES]
    found, prefixes = scored(name, TRAINING, with_target, config)
    return found[[prefixes.index(prefix) for prefix in PREFIXES]]


def assert_equal_outside_of_the_prefix(own: np.ndarray, other: np.ndarray) -> None:
    """RecPack scores items of the prefix differently, and divides all others by a number of their prefix."""
    for prefix, *rows in zip(PREFIXES, own, other, strict=True):
        mine, theirs = (np.delete(row, prefix) for row in rows)
        assert mine.sum() > 0
        np.testing.assert_allclose(mine / mine.sum(), theirs / theirs.sum(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_sequential_rules_are_those_of_recpack(steps):
    from recpack.algorithms.sequential_rules import SequentialRules

    own = own_scores("sequential_rules", {"steps": steps})
    assert_equal_outside_of_the_prefix(own, recpack_scores(SequentialRules(K=ITEMS, max_steps=steps)))


def test_stan_without_the_age_of_sessions_is_that_of_recpack(monkeypatch):
    """All sessions are neighbours: RecPack chooses among equally similar ones in another order."""
    from recpack.algorithms.stan import STAN

    # RecPack reads an attribute that SciPy had until version 1.13.
    monkeypatch.setattr(coo_matrix, "A", property(coo_matrix.toarray), raising=False)
    other = STAN(
        K=len(TRAINING), interaction_decay=1 / 1.3, session_decay=0, distance_from_match_decay=1 / 2.1
    )
    own = own_scores("stan", {"k": len(TRAINING), "lambda_spw": 1.3, "lambda_inh": 2.1})
    assert_equal_outside_of_the_prefix(own, recpack_scores(other))
