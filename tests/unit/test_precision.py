"""bfloat16 products: losses and gradients equal those of float32 up to rounding, and models are as good."""

import numpy as np
import pytest
import torch

from alterrec import registry
from alterrec.engine.contract import Task
from alterrec.engine.device import device
from alterrec.engine.learner_interface import Epoch
from alterrec.engine.optimisation import autocast_for
from alterrec.engine.seeding import seed_sequence
from alterrec.engine.windows import Windows
from alterrec.method.alternation import Alternating
from alterrec.method.losses import full_softmax
from alterrec.method.networks import id_network, text_network
from alterrec.study.settings import AlterRecConfig, TextConfig
from tests.planted import dataset, hits_of_test_instances, random_splits, train_windows, word_vectors

ITEMS = 100


@pytest.fixture(scope="module")
def noisy_cycle():
    """With probability 0.5 an item follows the one before it in a cycle, else it is random. Texts name an item's tens."""
    generator = np.random.default_rng(0)
    walks = []
    for length in generator.integers(3, 9, size=700):
        walk = [int(generator.integers(ITEMS))]
        while len(walk) < length:
            follows = generator.random() < 0.5
            walk.append(int((walk[-1] + 1) % ITEMS if follows else generator.integers(ITEMS)))
        walks.append(walk)
    texts = [f"tens{item // 10} serial{item}" for item in range(ITEMS)]
    return dataset(walks, random_splits(len(walks), generator), texts)


@pytest.mark.parametrize("network", ["id", "text"])
@pytest.mark.parametrize("mode", ["random", "hard"])
def test_gradients_equal_those_of_float32_up_to_rounding(noisy_cycle, network, mode):
    where = device()
    windows = Windows(noisy_cycle, ("train",), 50, where)
    text = tuple(torch.from_numpy(array).to(where) for array in word_vectors(noisy_cycle))
    config = AlterRecConfig(dimension=32, initialisation="xavier", dropout=0.0, k1=5)
    torch.manual_seed(0)
    learner = Alternating(id_network(ITEMS, config), text_network(*text, config), ITEMS, config)
    learner.module.to(where)
    batch = windows.sample(400, np.random.default_rng(0))

    def run(precision: str) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(1)  # the same negatives
        learner.module.zero_grad()
        with autocast_for(config.model_copy(update={"precision": precision}), where):
            loss = learner.loss(batch, Epoch(network, 1, mode))
        loss.backward()
        assert loss.dtype == torch.float32
        return loss, torch.cat([each.grad.flatten() for each in learner.networks[network].parameters()])

    (loss, gradient), (rounded_loss, rounded) = run("float32"), run("bfloat16")
    torch.testing.assert_close(rounded_loss, loss, rtol=3e-3, atol=0)
    difference = float((rounded - gradient).norm() / gradient.norm())
    assert 1e-5 < difference < 0.03


def test_rounding_does_not_spoil_gradients_that_sum_over_a_large_catalogue():
    generator, where, items = np.random.default_rng(0), device(), 3000
    walks = [generator.integers(items, size=6).tolist() for _ in range(100)]
    windows = train_windows(walks, items, 50, where)
    torch.manual_seed(0)
    text = torch.randn(64) + torch.randn(items, 64)  # sentence embeddings share a direction
    config = TextConfig(dimension=32, dropout=0.0)
    network = text_network(text.to(where), torch.arange(items, device=where), config).to(where)
    batch = windows.sample(400, np.random.default_rng(0))

    def gradients(precision: str) -> dict[str, torch.Tensor]:
        network.zero_grad()
        with autocast_for(config.model_copy(update={"precision": precision}), where):
            full_softmax(network, batch).backward()
        return {name: each.grad.clone() for name, each in network.vectors.named_parameters()}

    exact, rounded = gradients("float32"), gradients("bfloat16")
    for name, gradient in exact.items():
        assert float((rounded[name] - gradient).norm() / gradient.norm()) < 0.01, name


@pytest.mark.parametrize("name", ["id_only", "alterrec"])
def test_models_in_bfloat16_are_as_good(noisy_cycle, name):
    model = registry.model(name)
    shared = {"dimension": 32, "blocks": 1, "batch_size": 64, "learning_rate": 0.01, "schedule": "constant"}
    shared |= {"initialisation": "xavier", "epochs": 6, "dropout": 0.1}
    torch.set_num_threads(1)

    def hits(precision: str, seed: int) -> float:
        config = model.module.Config(**shared, precision=precision)
        text = word_vectors(noisy_cycle)
        task = Task(noisy_cycle, config, seed_sequence("noisy", name, seed), text, device=device())
        scorer = model.module.fit(task).scorer
        return float(hits_of_test_instances(scorer, noisy_cycle, 10, device()).mean())

    exact, rounded = (
        np.mean([hits(precision, seed) for seed in (1, 2)]) for precision in ("float32", "bfloat16")
    )
    assert exact > 0.2, f"Hits@10 {exact:.3f} is too low for a trained model; chance is 0.1"
    assert abs(rounded - exact) < 0.03
