"""When training ends, and what a fusion makes of its text part's own settings."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from alterrec.engine.checkpoint import Progress
from alterrec.engine.contract import Task
from alterrec.engine.learner_interface import Epoch
from alterrec.engine.optimisation import (
    autocast_for,
    branch_rate,
    make_optimiser,
    set_learning_rate,
    train_step,
)
from alterrec.engine.training_loop import train_learner
from alterrec.method.fusion import FusionNetwork
from alterrec.method.learners import Fused, Joint, NetworkLearner
from alterrec.method.losses import full_softmax
from alterrec.method.networks import id_network, text_network
from alterrec.study.settings import NaiveFusionConfig, NeuralConfig
from tests.planted import CPU, ITEMS, SESSIONS, id_signal, train_windows

SMALL = {"dimension": 8, "initialisation": "xavier"}


class TwoNetworks:
    """What `Progress` needs of a learner."""

    def __init__(self, *names: str):
        self.networks = {name: id_network(5, NeuralConfig(**SMALL)) for name in names}
        self.module = torch.nn.ModuleDict(self.networks)
        self.chosen_by = {"hits20": names}


def progress_after(hits: list[float], networks: list[str]) -> Progress:
    learner = TwoNetworks(*dict.fromkeys(networks))
    optimisers = {name: make_optimiser(each, NeuralConfig()) for name, each in learner.networks.items()}
    progress = Progress(learner, optimisers, np.random.default_rng(0))
    for number, (value, network) in enumerate(zip(hits, networks, strict=True), 1):
        progress.record({"epoch": number, "network": network, "hits20": value})
    return progress


def test_patience_counts_the_epochs_of_one_network_since_the_best():
    assert progress_after([0.1, 0.3, 0.2, 0.2], ["id"] * 4).epochs_without_gain() == 2


def test_patience_of_two_networks_counts_each_networks_own_epochs():
    turns = ["id", "id", "text", "text"] * 2
    flat = [0.1, 0.3, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2]
    assert progress_after(flat[:4], turns[:4]).epochs_without_gain() == 0, "the ID network had none since"
    assert progress_after(flat[:6], turns[:6]).epochs_without_gain() == 2
    assert progress_after(flat, turns).epochs_without_gain() == 2, "four of text, two of ID"


def test_a_separate_choice_keeps_each_network_at_its_own_best_epoch_and_survives_a_restart():
    learner = TwoNetworks("id", "text")
    learner.chosen_by = {"id_hits20": ("id",), "text_hits20": ("text",)}
    optimisers = {name: make_optimiser(each, NeuralConfig()) for name, each in learner.networks.items()}
    progress = Progress(learner, optimisers, np.random.default_rng(0))
    rows = [("id", 0.2, 0.9), ("text", 0.2, 0.1), ("id", 0.1, 0.1), ("text", 0.1, 0.3), ("id", 0.15, 0.3)]
    for number, (network, id_hits, text_hits) in enumerate(rows, 1):
        for parameter in learner.networks[network].parameters():
            parameter.data.fill_(number)
        progress.record({"epoch": number, "network": network, "id_hits20": id_hits, "text_hits20": text_hits})
    again = Progress(learner, optimisers, np.random.default_rng(0))
    again.restore(progress.state())
    for one in (progress, again):
        assert one.kept_epochs() == {"id": 1, "text": 4}, "not epoch 1 for text: it had not been trained"
        kept = {key.split(".")[0]: set(value.unique().tolist()) for key, value in one.kept_weights().items()}
        assert kept == {"id": {1.0}, "text": {4.0}}
        assert one.kept_weights().keys() == learner.module.state_dict().keys()
        assert one.epochs_without_gain() == 0, "two of ID, none of text"


def test_patience_begins_with_the_treatment():
    turns = ["id", "id", "text", "text"] * 3
    progress = progress_after([0.3] + [0.2] * 11, turns)
    assert progress.epochs_without_gain(treated_from=5) == 4, "one more ID epoch was before"
    assert progress.epochs_without_gain(treated_from=7) == 2, "of the ID network, epochs 9 and 10"
    assert progress.epochs_without_gain(treated_from=13) == 0, "the treatment has not begun"


class Worsening(NetworkLearner):
    """Two networks in turns whose quality falls with every epoch; the last turns are on hard negatives."""

    def __init__(self):
        super().__init__(TwoNetworks("id", "text").networks)
        self.quality = 1.0

    def schedule(self, config):
        turns = [(network, number) for number in range(1, 7) for network in ("id", "text")]
        return [Epoch(network, number, "hard" if number > 3 else "random") for network, number in turns]

    def loss(self, batch, epoch):
        return full_softmax(self.networks[epoch.network], batch)

    def scores(self, batch):
        return {}

    def evaluate(self, validation, sample):
        self.quality -= 0.01
        return {"hits20": self.quality}


@pytest.mark.parametrize(("patience", "epochs"), [(1, 8), (2, 10), (None, 12)])
def test_a_run_does_not_end_before_the_treatment_had_its_patience(patience, epochs):
    config = NeuralConfig(**SMALL, patience=patience)
    history = train_learner(Worsening, Task(id_signal(5, 30), config, np.random.SeedSequence(0))).history
    assert len(history) == epochs


def test_a_network_that_never_trained_keeps_its_first_weights():
    learner = TwoNetworks("id", "text")
    learner.chosen_by = {"id_hits20": ("id",), "text_hits20": ("text",)}
    progress = Progress(learner, {}, np.random.default_rng(0))
    progress.record({"epoch": 1, "network": "id", "id_hits20": 0.2, "text_hits20": 0.1})
    assert progress.kept_weights().keys() == learner.module.state_dict().keys()
    assert progress.kept_epochs() == {"id": 1, "text": 0}


@pytest.mark.parametrize("merge", ["sum", "concat", "gate"])
def test_an_early_fusion_has_its_text_parts_own_dropout_and_initialisation(merge):
    text, of_item = torch.randn(6, 4), torch.arange(6)
    config = NaiveFusionConfig(**SMALL, dropout=0.4, text_dropout=0.1, text_initialisation="authors")
    network = FusionNetwork(6, text, of_item, merge, config)
    assert network.text_vectors.dropout.p == 0.1 and network.encoder.dropout.p == 0.4
    assert not network.text_vectors.norm.weight.eq(1).all(), "drawn, as in the authors' program"
    assert network.id_vectors.norm.weight.eq(1).all()
    same = FusionNetwork(6, text, of_item, merge, NaiveFusionConfig(**SMALL, dropout=0.4))
    assert same.text_vectors.dropout.p == 0.4 and same.text_vectors.norm.weight.eq(1).all()
    assert Fused(network).networks["joint"] is network


OF_TEXT = {
    "text_dropout": 0.1,
    "text_initialisation": "xavier",
    "text_learning_rate": 0.1,
    "text_schedule": "step",
}


@pytest.mark.parametrize("key", OF_TEXT)
def test_a_model_without_a_text_part_refuses_settings_of_one(key):
    assert getattr(NaiveFusionConfig(**{key: OF_TEXT[key]}), key) == OF_TEXT[key]
    with pytest.raises(ValueError, match=key):
        NeuralConfig(**{key: OF_TEXT[key]})


FUSIONS = ["sum", "concat", "gate", "score"]


def fusion(kind: str, config: NaiveFusionConfig) -> Fused | Joint:
    """A fusion of ITEMS items, each with a text of its own."""
    text, of_item = torch.randn(ITEMS, 4), torch.arange(ITEMS)
    if kind == "score":
        return Joint(id_network(ITEMS, config), text_network(text, of_item, config.of_text_network()))
    return Fused(FusionNetwork(ITEMS, text, of_item, kind, config))


@pytest.mark.parametrize("kind", FUSIONS)
def test_a_branch_moves_by_its_own_learning_rate(kind):
    config = NaiveFusionConfig(**SMALL, learning_rate=1e-3, text_learning_rate=1e-2)
    learner, windows = fusion(kind, config), train_windows(SESSIONS)
    network = learner.networks["joint"]
    optimiser, epoch = make_optimiser(network, config), Epoch("joint", 1)
    assert set_learning_rate(optimiser, epoch, config) == 1e-3
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    train_step(
        learner, optimiser, windows.batch(torch.arange(len(windows))), epoch, autocast_for(config, CPU)
    )
    for name, parameter in network.named_parameters():
        moved = (parameter - before[name]).abs().max().item()  # Adam's first step is the learning rate
        expected = 1e-2 if name.startswith(("text.", "text_vectors.")) else 1e-3
        assert moved == pytest.approx(expected, rel=0.05), name


@pytest.mark.parametrize("kind", FUSIONS)
def test_branches_without_own_settings_train_as_one_network(kind, monkeypatch):
    def weights() -> dict[str, torch.Tensor]:
        config = NaiveFusionConfig(**SMALL, epochs=2, batch_size=32)
        task = Task(id_signal(ITEMS, sessions=40), config, np.random.SeedSequence(0))
        return train_learner(lambda: fusion(kind, config), task).state

    by_branch = weights()
    monkeypatch.setattr(
        "alterrec.engine.optimisation.branches",
        lambda network: [{"text_branch": False, "params": list(network.parameters())}],
    )
    for name, value in weights().items():
        assert torch.equal(value, by_branch[name]), name


def rates(network: str, text_branch: bool, **settings) -> list[float]:
    config = NaiveFusionConfig(**SMALL, epochs=4, learning_rate=1.0, **settings)
    return [branch_rate(Epoch(network, number), text_branch, config) for number in range(1, 5)]


def test_steps_of_the_optimiser_are_pytorchs_without_the_import_of_its_compiler():
    code = """
import sys, torch
from alterrec.engine.optimisation import Adam

def trained(kind):
    torch.manual_seed(0)
    network, inputs = torch.nn.Linear(3, 2), torch.randn(5, 3)
    optimiser = kind(network.parameters(), lr=0.1, fused=True)
    for _ in range(4):
        optimiser.zero_grad(set_to_none=True)
        network(inputs).square().mean().backward()
        optimiser.step()
        optimiser.load_state_dict(optimiser.state_dict())
    return network.weight.detach()

ours = trained(Adam)
assert "torch._dynamo" not in sys.modules
assert torch.equal(ours, trained(torch.optim.Adam))
assert "torch._dynamo" in sys.modules, "PyTorch's own Adam no longer imports the compiler: use it"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_cosine_falls_from_the_learning_rate_to_0_over_a_networks_own_epochs():
    assert rates("id", False, schedule="cosine") == pytest.approx([1, 0.8536, 0.5, 0.1464], abs=1e-4)


def test_each_branch_has_its_own_schedule():
    decays = {"id_decay_every": 1, "text_decay_every": 2}
    own = {**decays, "schedule": "constant", "text_schedule": "step", "text_learning_rate": 2.0}
    assert rates("joint", False, **own) == [1, 1, 1, 1]
    assert rates("joint", True, **own) == rates("text", False, **own) == pytest.approx([2, 2, 0.2, 0.2])
    shared = {**decays, "schedule": "step"}
    assert rates("joint", True, **shared) == rates("joint", False, **shared), "one network, one schedule"
    assert rates("text", False, **shared) == pytest.approx([1, 1, 0.1, 0.1])
