"""The interventions on a naive fusion: a frozen branch, dropout of the ID embeddings or of a modality, and gradient
modulation."""

import math
from dataclasses import replace

import pytest
import torch

from alterrec import registry
from alterrec.engine.learner_interface import Epoch
from alterrec.engine.optimisation import autocast_for, make_optimiser, train_step
from alterrec.method import modulation
from alterrec.method.fusion import FusionNetwork
from alterrec.method.learners import Fused, FusionLearner, Joint
from alterrec.method.modality_dropout import ModalityDropoutJoint, kept_modalities
from alterrec.method.modulation import ModulatedFused, ModulatedJoint, step_factors
from alterrec.method.networks import id_network, text_network
from alterrec.study.settings import NaiveFusionConfig
from tests.planted import CONFIG, CPU, ITEMS, SESSIONS, TEXT_OF_ITEM, train_windows

FUSIONS = ["sum", "concat", "gate", "score"]
WINDOWS = train_windows(SESSIONS)
BATCH = WINDOWS.batch(torch.arange(len(WINDOWS)))
PREFIXES = {"id": ("id.", "id_vectors."), "text": ("text.", "text_vectors.")}


def fusion(kind: str, **modulation) -> FusionLearner:
    """A small float64 fusion without dropout, modulated if the modulation is stated."""
    torch.manual_seed(0)
    text = torch.randn(9, 5, dtype=torch.float64)
    if kind == "score":
        networks = id_network(ITEMS, CONFIG), text_network(text, TEXT_OF_ITEM, CONFIG)
        found = ModulatedJoint(*networks, **modulation) if modulation else Joint(*networks)
    else:
        network = FusionNetwork(ITEMS, text, TEXT_OF_ITEM, kind, NaiveFusionConfig(**CONFIG.model_dump()))
        found = ModulatedFused(network, **modulation) if modulation else Fused(network)
    found.module.double().train()
    return found


def step(learner: FusionLearner, mode: str = "full") -> dict[str, torch.Tensor]:
    """How one step of Adam moves every parameter, by name."""
    network = learner.networks["joint"]
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimiser = make_optimiser(network, CONFIG)
    train_step(learner, optimiser, BATCH, Epoch("joint", 1, mode), autocast_for(CONFIG, CPU))
    return {name: parameter.detach() - before[name] for name, parameter in network.named_parameters()}


def branch_of(name: str) -> str | None:
    return next((part for part, prefixes in PREFIXES.items() if name.startswith(prefixes)), None)


def test_a_branch_is_frozen_after_its_epoch():
    def modes(**settings) -> list[str]:
        return [epoch.mode for epoch in fusion("sum").schedule(NaiveFusionConfig(epochs=3, **settings))]

    assert modes() == ["full"] * 3
    assert modes(freeze="id", freeze_after=2) == ["full", "full", "frozen_id"]
    assert modes(freeze="text") == ["frozen_text"] * 3


@pytest.mark.parametrize("frozen", ["id", "text"])
@pytest.mark.parametrize("kind", FUSIONS)
def test_a_frozen_branch_does_not_move_and_all_else_moves_as_ever(kind, frozen):
    free, held = step(fusion(kind)), step(fusion(kind), f"frozen_{frozen}")
    assert {branch_of(name) for name in free} >= {"id", "text"}
    for name, moved in held.items():
        if branch_of(name) == frozen:
            assert not moved.any() and free[name].any(), name
        else:
            assert torch.equal(moved, free[name]), name


@pytest.mark.parametrize("kind", FUSIONS)
def test_the_parts_of_a_loss_add_up_to_its_scores(kind):
    learner = fusion(kind)
    learner.module.eval()
    loss, parts = learner.loss_and_parts(BATCH, Epoch("joint", 1))
    scores = sum(states @ matrix.T for states, matrix in parts.values())
    torch.testing.assert_close(torch.nn.functional.cross_entropy(scores, BATCH.target), loss)
    torch.testing.assert_close(scores, learner.scores(BATCH)["model"])


@pytest.mark.parametrize("kind", ["sum", "score"])
def test_only_the_step_of_the_leading_branch_is_scaled(kind, monkeypatch):
    strength, learner = 0.7, fusion(kind, strength=0.7, noise=False)
    monkeypatch.setattr(modulation, "rows_at_once", lambda *_: 4)  # several blocks
    trust = {}
    for part, (states, matrix) in learner.loss_and_parts(BATCH, Epoch("joint", 1))[1].items():
        scores = (states @ matrix.T).tolist()
        trust[part] = sum(
            math.exp(row[target]) / sum(math.exp(score) for score in row)
            for row, target in zip(scores, BATCH.target.tolist(), strict=True)
        )
    leader, follower = sorted(trust, key=trust.get, reverse=True)
    factor = 1 - math.tanh(strength * trust[leader] / trust[follower])
    plain, modulated = step(fusion(kind)), step(learner)
    for name, moved in modulated.items():
        expected = factor * plain[name] if branch_of(name) == leader else plain[name]
        torch.testing.assert_close(moved, expected, rtol=1e-5, atol=1e-12, msg=name)
    assert 0 < factor < 0.6


def test_padding_of_a_batch_has_no_part_in_the_lead():
    parts = fusion("score").loss_and_parts(BATCH, Epoch("joint", 1))[1]
    first = {part: (states[:5], matrix) for part, (states, matrix) in parts.items()}
    padded = replace(BATCH, valid=torch.arange(len(BATCH)) < 5)
    expected = step_factors(first, replace(BATCH, target=BATCH.target[:5]), 0.5)
    for part, factor in step_factors(parts, padded, 0.5).items():
        torch.testing.assert_close(factor, expected[part])


def test_noise_has_the_standard_deviation_of_the_step():
    plain, noisy = step(fusion("sum")), step(fusion("sum", strength=0.0, noise=True))
    name = max(plain, key=lambda name: plain[name].numel() if branch_of(name) else 0)
    noise = noisy[name] - plain[name]
    assert float(noise.std() / plain[name].std()) == pytest.approx(1, rel=0.3)
    shared = [name for name in plain if branch_of(name) is None]
    assert shared and all(torch.equal(noisy[name], plain[name]) for name in shared)


@pytest.mark.parametrize("kind", ["sum", "score"])
def test_dropout_of_the_id_embeddings_is_of_the_id_branch_alone(kind):
    text = torch.randn(9, 5)
    if kind == "sum":
        network = FusionNetwork(
            ITEMS, text, TEXT_OF_ITEM, kind, NaiveFusionConfig(**CONFIG.model_dump()), 0.5
        )
        vectors = network.id_vectors, network.text_vectors
    else:
        vectors = id_network(ITEMS, CONFIG, 0.5).vectors, text_network(text, TEXT_OF_ITEM, CONFIG).vectors
    of_id, of_text = (each.train() for each in vectors)
    assert not torch.equal(of_id(), of_id()) and torch.equal(of_text(), of_text())
    assert torch.equal(of_id.eval()(), of_id())


def test_an_instance_loses_one_modality_at_the_rate_and_never_both():
    torch.manual_seed(0)
    kept = kept_modalities(20_000, 0.6, CPU)
    assert kept.any(0).all()
    assert (~kept).float().mean(1).tolist() == pytest.approx([0.3, 0.3], abs=0.02)
    assert kept_modalities(100, 0.0, CPU).all()


def test_with_a_modality_dropped_the_other_one_is_trained_alone():
    torch.manual_seed(0)
    networks = id_network(ITEMS, CONFIG), text_network(torch.randn(9, 5), TEXT_OF_ITEM, CONFIG)
    learner = ModalityDropoutJoint(*networks, rate=1.0)
    torch.manual_seed(1)
    loss = learner.loss(BATCH, Epoch("joint", 1))
    torch.manual_seed(1)
    has_id, has_text = kept_modalities(len(BATCH), 1.0, CPU)
    assert has_id.any() and torch.equal(has_text, ~has_id)
    scores = learner.scores(BATCH)
    alone = torch.where(has_id[:, None], scores["id"], scores["text"])
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(alone, BATCH.target))
    assert torch.equal(scores["model"], scores["id"] + scores["text"])


@pytest.mark.parametrize("name", ["fusion_score_ogm", "fusion_sum_ogm", "fusion_score_dropout"])
def test_a_balanced_fusion_is_a_variant_of_the_untouched_one(name):
    assert registry.model(name).variant_of == name.rpartition("_")[0]
