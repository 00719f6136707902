"""What a batch costs follows the longest row that occurs; `max_length` beyond it changes nothing but the unused positions."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from alterrec.engine import batching, training_loop, windows
from alterrec.engine.batching import TrainingBatches
from alterrec.engine.contract import Fitted, Task
from alterrec.engine.training_loop import Steps, train_learner
from alterrec.engine.windows import attention_kernel
from alterrec.method.alternation import Alternating
from alterrec.method.networks import id_network, text_network
from alterrec.ranking.rank import rank
from alterrec.study.settings import AlterRecConfig, NeuralConfig
from tests.planted import CPU, id_signal, train_windows, word_vectors

KERNEL = SimpleNamespace(TILE=64)
ON_A_GPU = SimpleNamespace(device=torch.device("cuda"))
SETTINGS = {"dimension": 8, "epochs": 2, "k1": 2, "m_gap": 1, "m_random": 2, "batch_size": 64}
DATA = id_signal(30, 60)  # at most 6 items in a session


def session_of(positions: int) -> list[int]:
    """A session whose longest prefix is read as a row of so many positions."""
    return [0] * (positions + 1)


@pytest.mark.parametrize("kind", ["prefixes", "sessions"])
@pytest.mark.parametrize(
    ("max_length", "longest", "padded", "packs"),
    [
        (200, 50, False, True),
        (200, 64, False, True),
        (200, 65, False, False),
        (64, 300, False, True),
        (200, 50, True, False),
        (64, 50, True, True),
    ],
)
def test_rows_are_packed_unless_one_of_them_is_longer_than_a_tile(
    kind, max_length, longest, padded, packs, monkeypatch
):
    monkeypatch.setattr(windows, "built_kernel", lambda name: KERNEL)
    config = NeuralConfig(max_length=max_length, batches=kind)
    batches = TrainingBatches(
        train_windows([session_of(3), session_of(longest)], max_length=max_length), config
    )
    batches.windows.flat = ON_A_GPU
    assert batches.packs(padded) == packs


@pytest.mark.parametrize(("max_length", "width"), [(200, 7), (5, 5)])
def test_a_batch_of_fixed_shape_has_prefixes_as_wide_as_the_longest_row(max_length, width):
    batches = TrainingBatches(
        train_windows([session_of(3), session_of(7)], max_length=max_length),
        NeuralConfig(max_length=max_length),
    )
    for padded, expected in ((False, width), (True, max_length)):
        ((shape, numbers),) = next(
            batches.of_fixed_shapes(batches.draw(np.random.default_rng(0), views=2), padded)
        )
        assert max(items.shape[1] for items, _ in shape.batch(numbers).prefix_rows()) == expected


def trained(max_length: int, **settings) -> Fitted:
    """Two networks in turns. Their positions beyond the sixth are drawn after everything else."""
    config = AlterRecConfig(**SETTINGS | settings, max_length=max_length)
    few = config.model_copy(update={"max_length": 6})

    torch.set_num_threads(1)

    def build():
        texts = [torch.from_numpy(array) for array in word_vectors(DATA)]
        networks = id_network(DATA.catalogue_size, few), text_network(*texts, few)
        state = torch.get_rng_state()
        for network in networks:
            more = torch.randn(max_length - 6, few.dimension)
            network.encoder.position = torch.nn.Parameter(
                torch.cat([network.encoder.position.detach(), more])
            )
        torch.set_rng_state(state)
        return Alternating(*networks, DATA.catalogue_size, config)

    return train_learner(build, Task(DATA, config, np.random.SeedSequence(0)))


@pytest.mark.parametrize("kind", ["prefixes", "sessions"])
def test_a_greater_max_length_than_any_row_changes_no_bit(kind):
    short, long = (trained(max_length, batches=kind) for max_length in (50, 200))
    assert [row["mode"] for row in short.history] == ["random", "random", "hard", "hard"]
    without_seconds = [
        [{key: value for key, value in row.items() if key != "seconds"} for row in fitted.history]
        for fitted in (short, long)
    ]
    assert without_seconds[0] == without_seconds[1]
    for name, weights in short.state.items():
        used = slice(6 if name.endswith("encoder.position") else None)
        assert torch.equal(weights[used], long.state[name][used]), name
    for frames in zip(
        *(rank(one.scorer, DATA, size, CPU) for one, size in ((short, 50), (long, 200))), strict=True
    ):
        pd.testing.assert_frame_equal(*frames, check_exact=True)


@pytest.mark.parametrize(
    ("settings", "graphed"),
    [
        ({}, True),
        ({"augment": True}, True),
        ({"augment": True, "augmented_prefix": "padded"}, False),
        ({"augment": True, "augmented_prefix": "padded", "m_random": 4}, True),
    ],
)
def test_graphs_are_captured_where_the_rows_of_every_epoch_can_be_packed(settings, graphed, monkeypatch):
    """On this CPU, with steps in the place of graphs that say that they were chosen."""
    chosen = []

    class Graphed(Steps):
        def __init__(self, *own):
            super().__init__(*own)
            chosen.append(True)

    monkeypatch.setattr(training_loop, "GraphedSteps", Graphed)
    monkeypatch.setattr(
        batching, "attention_kernel", lambda longest, device: KERNEL if longest <= KERNEL.TILE else None
    )
    trained(65, **settings)
    assert bool(chosen) == graphed


def test_rows_of_a_processor_are_not_packed():
    assert attention_kernel(1, CPU) is None
