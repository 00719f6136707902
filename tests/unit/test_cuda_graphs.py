"""Padding a batch to a shape changes neither its loss nor its gradients."""

import numpy as np
import pytest
import torch

from alterrec.engine.cuda_graphs import packed, rounded
from alterrec.engine.windows import Windows
from alterrec.method.losses import full_softmax
from alterrec.method.networks import id_network
from alterrec.study.settings import NeuralConfig
from tests.planted import dataset

CPU = torch.device("cpu")
SESSIONS = [[1, 2, 3], [4, 0, 0, 5], [6, 7], list(range(12)), [3, 9, 11, 10, 12, 1, 2, 5, 8]]
CONFIG = NeuralConfig(dimension=8, heads=2, dropout=0.0, max_length=6, initialisation="xavier")


@pytest.mark.parametrize("instances", [3, 8, 100])
def test_a_padded_batch_is_the_batch(instances):
    windows = Windows(dataset(SESSIONS, ["train"] * 5, ["t"] * 13), ("train",), 6, CPU)
    torch.manual_seed(0)
    network = id_network(13, CONFIG).double()

    def loss_and_gradients(batch):
        network.zero_grad()
        loss = full_softmax(network, batch)
        loss.backward()
        return loss, *(parameter.grad.clone() for parameter in network.parameters())

    seen = []
    for rows, view in windows.shuffled_rows(instances, np.random.default_rng(0), views=2):
        plain = windows.batch(torch.from_numpy(rows), torch.from_numpy(view))
        shape, numbers = packed(windows, rows, view, instances)
        padded = shape.batch(torch.from_numpy(numbers))
        for name in ("target", "instance", "view", "last_item"):
            assert torch.equal(getattr(padded, name)[padded.valid], getattr(plain, name)), name
        for one, other in zip(loss_and_gradients(padded), loss_and_gradients(plain), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
        seen += list(zip(plain.instance.tolist(), plain.view.tolist(), strict=True))
    assert len(seen) == len(set(seen)) == 2 * windows.instances


def test_few_sizes_occur_and_none_is_much_larger():
    sizes = [rounded(value, 8) for value in range(1, 600)]
    assert all(value <= size <= 1.125 * value + 1 for value, size in enumerate(sizes, 1))
    assert len(set(sizes)) < 70


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_replayed_steps_train_as_plain_ones(tmp_path):
    from alterrec.engine.cuda_graphs import GraphedSteps
    from alterrec.engine.learner_interface import Epoch
    from alterrec.engine.optimisation import autocast_for, make_optimiser
    from alterrec.engine.training_loop import Steps
    from alterrec.method.learners import Single

    data = dataset(SESSIONS * 40, ["train"] * 200, ["t"] * 13)
    windows = Windows(data, ("train",), 6, torch.device("cuda"))
    losses = []
    for kind in (Steps, GraphedSteps):
        torch.manual_seed(0)
        learner = Single(id_network(13, CONFIG).cuda(), "id")
        within = autocast_for(CONFIG, windows.start.device)
        steps = kind(learner, {"id": make_optimiser(learner.network, CONFIG)}, within)
        order = np.random.default_rng(0)
        run = [
            steps.run(Epoch("id", 1), windows, windows.shuffled_rows(32, order), 32, None) for _ in range(6)
        ]
        losses.append([loss for loss, _ in run])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
    assert losses[1][-1] < losses[1][0]
