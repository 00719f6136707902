"""The models without learning score as the formulas of session-rec do, and item-kNN as scikit-learn's cosine similarity."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from alterrec import registry
from alterrec.engine.contract import Task
from alterrec.engine.seeding import seed_sequence
from alterrec.engine.windows import Windows
from tests.planted import CPU, dataset
from tests.reference import session_rec

ITEMS = 12
walks = st.lists(st.lists(st.integers(0, ITEMS - 2), min_size=2, max_size=7), min_size=1, max_size=15)
tests = st.lists(st.lists(st.integers(0, ITEMS - 1), min_size=2, max_size=9), min_size=1, max_size=4)
FEW = {"k": st.integers(1, 4), "sample_size": st.integers(1, 6)}
SETTINGS = {
    "session_popularity": {},
    "item_knn": {"regularisation": st.sampled_from([0.5, 20.0]), "balance": st.sampled_from([0.0, 0.3, 1.0])},
    "sequential_rules": {"steps": st.integers(1, 12), "weighting": st.sampled_from([*session_rec.DECAY])},
    "vsknn": FEW
    | {"weighting": st.sampled_from([*session_rec.POSITION])}
    | {"weighting_score": st.sampled_from([*session_rec.POSITION])}
    | {"idf_weighting": st.sampled_from([0.0, 1.5])},
    "stan": FEW | {"lambda_spw": st.sampled_from([0.9, 5.0])} | {"lambda_inh": st.sampled_from([0.7, 3.0])},
}
NAMES_THERE = {"regularisation": "r", "balance": "a", "lambda_spw": "spw", "lambda_inh": "inh"}


def scored(name: str, training: list[list[int]], test: list[list[int]], config: dict, max_length: int = 50):
    """[I, N] scores of all prefixes of the test sessions, and these prefixes."""
    data = dataset(training + test, ["train"] * len(training) + ["test"] * len(test), ["t"] * ITEMS)
    module = registry.model(name).module
    task = Task(data, module.Config(max_length=max_length, **config), seed_sequence("data", name, 1))
    windows = Windows(data, ("test",), max_length, CPU)
    batch = windows.batch(torch.arange(len(windows)))
    ends = [(data.offsets[:-1][data.offsets[:-1] < end].max(), end) for end in batch.instance.tolist()]
    prefixes = [data.flat[start:end].tolist()[-max_length:] for start, end in ends]
    return module.fit(task).scorer.scores(batch)["model"].numpy(), prefixes


@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_scores_equal_the_literal_formulas(name, data):
    training, test = data.draw(walks), data.draw(tests)
    config = data.draw(st.fixed_dictionaries(SETTINGS[name]))
    found, prefixes = scored(name, training, test, config, max_length=data.draw(st.sampled_from([3, 50])))
    literal = getattr(session_rec, name)
    named_there = {NAMES_THERE.get(key, key): value for key, value in config.items()}
    for row, prefix in zip(found, prefixes, strict=True):
        slow = np.zeros(ITEMS)
        for item, score in literal(training, prefix, **named_there).items():
            slow[item] = score
        np.testing.assert_allclose(row, slow, rtol=1e-9, atol=1e-12)


def test_item_knn_equals_the_cosine_similarity_of_scikit_learn():
    generator = np.random.default_rng(0)
    training = [generator.choice(ITEMS, generator.integers(2, 6)).tolist() for _ in range(40)]
    occurs = np.array([[item in session for item in range(ITEMS)] for session in training], float)
    cosine = cosine_similarity(occurs.T)
    np.fill_diagonal(cosine, 0)
    found, prefixes = scored("item_knn", training, [[*range(ITEMS), 0]], {"regularisation": 0.0})
    np.testing.assert_allclose(found, cosine[[prefix[-1] for prefix in prefixes]], rtol=1e-12)


def test_popularity_and_markov_are_counts():
    training = [[0, 1, 2, 1, 2], [2, 1], [3, 2, 1]]
    count = Counter(item for session in training for item in session)
    found, prefixes = scored("popularity", training, [[0, 1, 2, 3, 4]], {})
    assert found.tolist() == [[count[item] for item in range(ITEMS)]] * len(prefixes)
    found, prefixes = scored("markov", training, [[0, 1, 2, 3, 4]], {})
    for row, prefix in zip(found, prefixes, strict=True):
        followed = session_rec.sequential_rules(training, prefix, 1, "same")
        assert np.floor(row).tolist() == [followed[item] for item in range(ITEMS)]
