"""The comparison with the literal program: it trains as the suite does, and the ratios are of the right seconds."""

from itertools import islice

import numpy as np
import pandas as pd
import pytest
import torch

from alterrec.bench.quality_ratio import PROGRAMS, learning_curve, take_turns
from alterrec.engine.contract import Task
from alterrec.study.settings import NeuralConfig
from tests.planted import id_signal
from tests.unit.drawings import SCRIPTS

SETTINGS = {"dimension": 8, "blocks": 1, "batch_size": 64, "learning_rate": 0.01, "initialisation": "xavier"}


@pytest.fixture
def one_thread():
    """The test runs on one thread; torch's settings are restored."""
    threads, deterministic = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(deterministic)


def task(name: str, **settings) -> Task:
    data = id_signal(items=30, sessions=300)
    vectors = np.random.default_rng(0).standard_normal((10, 6), dtype=np.float32)
    config = NeuralConfig(**SETTINGS | settings)
    text = None if name == "id" else (vectors, np.arange(30) % 10)
    return Task(dataset=data, config=config, seed=np.random.SeedSequence(1), text=text)


@pytest.mark.parametrize("name", ["id", "text"])
def test_without_dropout_the_literal_program_trains_as_single_prefixes_do(name, one_thread):
    curves = [
        pd.DataFrame(islice(learning_curve(name, kind, task(name, dropout=0.0), parts=3), 7))
        for kind in ("literal", "prefixes")
    ]
    literal, suite = curves
    assert literal.epoch.tolist() == suite.epoch.tolist() and literal.epoch[2] == 1.0
    assert literal.updates.tolist() == suite.updates.tolist()
    np.testing.assert_allclose(literal.loss, suite.loss, rtol=1e-4)
    np.testing.assert_allclose(literal.hits20, suite.hits20, atol=0.01)
    assert literal.loss.iloc[-1] < 0.9 * literal.loss[0]
    assert (literal.operations > 3 * suite.operations).all()


def test_every_program_trains_until_the_literal_programs_quality(one_thread):
    curves = pd.DataFrame(take_turns("id", task("id"), epochs=2, limit=4, parts=3))
    assert curves.batches[:4].tolist() == list(PROGRAMS)  # they take turns
    runs = dict(list(curves.groupby("batches")))
    wanted = runs["literal"].hits20.iloc[-1]
    assert runs.pop("literal").epoch.iloc[-1] == 2
    for run in runs.values():
        assert run.epoch.iloc[-1] == 4 or run.hits20.max() >= wanted and run.epoch.iloc[-1] >= 2
        assert (run[["seconds", "processor_seconds", "operations"]] > 0).all(axis=None)


def test_ratios_divide_by_what_was_spent_until_the_quality_was_first_reached(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from seconds_beside_literal import markdown, ratios

    def run(kind: str, hits: list[float], seconds: float) -> pd.DataFrame:
        epochs = [(part + 1) / 2 for part in range(len(hits))]
        setting = {"dataset": "d", "dimension": 64, "model": "id_only", "seed": 1, "batches": kind}
        costs = {"seconds": seconds, "processor_seconds": 2 * seconds, "operations": seconds**2}
        return pd.DataFrame({"epoch": epochs, "hits20": hits} | setting | costs)

    curves = pd.concat(
        [
            run("literal", [0.1, 0.3, 0.1, 0.2], 10.0),
            run("prefixes", [0.1, 0.2, 0.1], 3.0),
            run("sessions", [0.1, 0.1, 0.2], 1.0),
            run("sessions:4", [0.1, 0.1, 0.1], 1.0),
        ],
        ignore_index=True,
    )
    found = ratios(curves).set_index("batches")
    assert found.epoch.tolist()[:2] == [1.0, 1.5] and found.literal_epoch.tolist() == [1.0] * 3
    assert found.reached_seconds.tolist()[:2] == [6.0, 3.0] and found.literal_seconds.tolist() == [40.0] * 3
    assert found.seconds.tolist()[:2] == pytest.approx([40 / 6, 40 / 3])
    assert found.processor_seconds.tolist()[:2] == pytest.approx([40 / 6, 40 / 3])
    assert found.operations.tolist()[:2] == pytest.approx([400 / 18, 400 / 3])
    assert found.first_seconds.tolist()[:2] == pytest.approx([20 / 6, 20 / 3])
    assert found.first_operations.tolist()[:2] == pytest.approx([200 / 18, 200 / 3])
    assert found.loc["sessions:4", ["epoch", "reached_seconds", "seconds", "first_seconds"]].isna().all()
    table = markdown(ratios(curves)).splitlines()
    assert ["**" in line for line in table[2:]] == [False, True, False]
    assert table[-1].count("–") == 8
