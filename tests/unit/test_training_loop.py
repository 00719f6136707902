"""When training ends, and what an early fusion makes of its text part's own settings."""

import numpy as np
import pytest
import torch

from alterrec.engine.checkpoint import Progress
from alterrec.engine.optimisation import make_optimiser
from alterrec.method.fusion import FusionNetwork
from alterrec.method.learners import Fused
from alterrec.method.networks import id_network
from alterrec.study.settings import AlterRecConfig, FusionConfig, NeuralConfig

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


@pytest.mark.parametrize("merge", ["sum", "concat", "gate"])
def test_an_early_fusion_has_its_text_parts_own_dropout_and_initialisation(merge):
    text, of_item = torch.randn(6, 4), torch.arange(6)
    config = FusionConfig(**SMALL, dropout=0.4, text_dropout=0.1, text_initialisation="authors")
    network = FusionNetwork(6, text, of_item, merge, config)
    assert network.text_vectors.dropout.p == 0.1 and network.encoder.dropout.p == 0.4
    assert not network.text_vectors.norm.weight.eq(1).all(), "drawn, as in the authors' program"
    assert network.id_vectors.norm.weight.eq(1).all()
    same = FusionNetwork(6, text, of_item, merge, FusionConfig(**SMALL, dropout=0.4))
    assert same.text_vectors.dropout.p == 0.4 and same.text_vectors.norm.weight.eq(1).all()
    assert Fused(network).networks["joint"] is network


@pytest.mark.parametrize("key", ["text_dropout", "text_initialisation"])
def test_a_model_without_a_text_part_refuses_settings_of_one(key):
    with pytest.raises(ValueError, match=key):
        NeuralConfig(**{key: 0.1 if key == "text_dropout" else "xavier"})


@pytest.mark.parametrize("key", ["text_learning_rate", "text_schedule"])
def test_only_networks_trained_in_turns_have_a_text_learning_rate(key):
    value = 0.1 if key == "text_learning_rate" else "step"
    assert getattr(AlterRecConfig(**{key: value}), key) == value
    with pytest.raises(ValueError, match=key):
        FusionConfig(**{key: value})
