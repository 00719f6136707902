"""bfloat16 products: the same objective to their rounding, and models as good."""

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
from alterrec.ranking.metrics import expected_hits
from alterrec.ranking.rank import rank
from alterrec.study.settings import AlterRecConfig, TextConfig
from tests.planted import dataset, one_hot_texts, shuffled_splits

ITEMS = 100


@pytest.fixture(scope="module")
def noisy_cycle():
    """Every other item follows the one before it in a cycle, the rest are random; a text names the item's tens."""
    generator = np.random.default_rng(0)
    walks = []
    for length in generator.integers(3, 9, size=700):
        walk = [int(generator.integers(ITEMS))]
        while len(walk) < length:
            follows = generator.random() < 0.5
            walk.append(int((walk[-1] + 1) % ITEMS if follows else generator.integers(ITEMS)))
        walks.append(walk)
    texts = [f"tens{item // 10} serial{item}" for item in range(ITEMS)]
    return dataset(walks, shuffled_splits(len(walks), generator), texts)


@pytest.mark.parametrize("network", ["id", "text"])
@pytest.mark.parametrize("objective", ["random", "hard"])
def test_gradients_are_float32s_to_the_rounding_of_the_factors(noisy_cycle, network, objective):
    where = device()
    windows = Windows(noisy_cycle, ("train",), 50, where)
    text = tuple(torch.from_numpy(each).to(where) for each in one_hot_texts(noisy_cycle))
    config = AlterRecConfig(dimension=32, initialisation="xavier", dropout=0.0, k1=5)
    torch.manual_seed(0)
    learner = Alternating(id_network(ITEMS, config), text_network(*text, config), ITEMS, config)
    learner.module.to(where)
    batch = windows.sample(400, np.random.default_rng(0))

    def run(precision: str) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(1)  # the same negatives
        learner.module.zero_grad()
        with autocast_for(config.model_copy(update={"precision": precision}), where):
            loss = learner.loss(batch, Epoch(network, 1, objective))
        loss.backward()
        assert loss.dtype == torch.float32
        return loss, torch.cat([each.grad.flatten() for each in learner.networks[network].parameters()])

    (loss, gradient), (rounded_loss, rounded) = run("float32"), run("bfloat16")
    torch.testing.assert_close(rounded_loss, loss, rtol=3e-3, atol=0)
    difference = float((rounded - gradient).norm() / gradient.norm())
    assert 1e-5 < difference < 0.03


def test_what_a_large_catalogue_adds_up_is_not_drowned_by_rounding():
    generator, where, items = np.random.default_rng(0), device(), 3000
    walks = [generator.integers(items, size=6).tolist() for _ in range(100)]
    windows = Windows(dataset(walks, ["train"] * 100, ["t"] * items), ("train",), 50, where)
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
def test_models_are_as_good(noisy_cycle, name):
    model = registry.model(name)
    shared = {"dimension": 32, "blocks": 1, "batch_size": 64, "learning_rate": 0.01, "schedule": "constant"}
    shared |= {"initialisation": "xavier", "epochs": 6, "dropout": 0.1}
    torch.set_num_threads(1)

    def hits(precision: str, seed: int) -> float:
        config = model.module.Config(**shared, precision=precision)
        text = one_hot_texts(noisy_cycle)
        task = Task(noisy_cycle, config, seed_sequence("noisy", name, seed), text, device=device())
        ranks = rank(model.module.fit(task).scorer, noisy_cycle, 50, device())[0].query("split == 'test'")
        return float(expected_hits(ranks["above"].to_numpy(), ranks["ties"].to_numpy(), 10).mean())

    exact, rounded = (
        np.mean([hits(precision, seed) for seed in (1, 2)]) for precision in ("float32", "bfloat16")
    )
    assert exact > 0.2, "the models must have learned something: chance is 0.1"
    assert abs(rounded - exact) < 0.03
