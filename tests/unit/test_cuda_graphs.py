"""Steps that are captured as CUDA graphs and replayed train like steps that are not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from alterrec.engine.batching import TrainingBatches
from alterrec.engine.learner_interface import Epoch
from alterrec.engine.optimisation import autocast_for, make_optimiser
from alterrec.engine.training_loop import Steps
from alterrec.method.learners import Single
from alterrec.method.modulation import ModulatedJoint
from alterrec.method.networks import id_network, text_network
from tests.planted import CONFIG, ITEMS, SESSIONS, TEXT_OF_ITEM, dataset, train_windows
from tests.unit.test_baselines import MODELS, fit, task

ALONE = sorted(name for name, model in MODELS.items() if model.trains_a_network and not model.requires)
TEXTS = [f"item {number} of the catalogue" for number in range(ITEMS)]
DRAWS = {
    "alterrec",
    "alterrec_aug",
    "alterrec_random",
    "bert4rec",
    "gru4rec",
    "gsasrec",
    "s3rec",
    "sasrec",
    "tedrec",
    "unisrec",
    "unisrec_id",
}
"""Models that draw negatives, masks or noise, which are others where batches are filled up."""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
@pytest.mark.parametrize("batches", ["prefixes", "sessions"])
def test_replayed_steps_train_like_plain_ones(batches):
    from alterrec.engine.cuda_graphs import GraphedSteps

    config = CONFIG.model_copy(update={"batches": batches, "batch_size": 32})
    windows = train_windows(SESSIONS * 40, where=torch.device("cuda"))
    training = TrainingBatches(windows, config)
    losses = []
    for kind in (Steps, GraphedSteps):
        torch.manual_seed(0)
        learner = Single(id_network(ITEMS, config).cuda(), "id")
        autocast = autocast_for(config, windows.flat.device)
        steps = kind(learner, {"id": make_optimiser(learner.network, config)}, autocast)
        order = np.random.default_rng(0)
        losses.append([steps.run(Epoch("id", 1), training, training.draw(order), False) for _ in range(6)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
    assert losses[1][-1] < losses[1][0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_a_modulated_fusion_and_its_frozen_branch_replay_like_plain_steps():
    from alterrec.engine.cuda_graphs import GraphedSteps

    config = CONFIG.model_copy(update={"batch_size": 32})
    training = TrainingBatches(train_windows(SESSIONS * 40, where=torch.device("cuda")), config)
    losses = []
    for kind in (Steps, GraphedSteps):
        torch.manual_seed(0)
        networks = id_network(ITEMS, config), text_network(torch.randn(9, 5), TEXT_OF_ITEM, config)
        learner = ModulatedJoint(*(network.cuda() for network in networks), strength=0.5, noise=False)
        optimisers = {"joint": make_optimiser(learner.networks["joint"], config)}
        steps = kind(learner, optimisers, autocast_for(config, torch.device("cuda")))
        order, modes = np.random.default_rng(0), ["full"] * 3 + ["frozen_id"] * 3
        losses.append([])
        for number, mode in enumerate(modes, 1):
            before = learner.id.vectors.embedding.detach().clone()
            losses[-1].append(steps.run(Epoch("joint", number, mode), training, training.draw(order), False))
            assert torch.equal(before, learner.id.vectors.embedding) == (mode == "frozen_id")
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
    assert losses[1][-1] < losses[1][0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
@pytest.mark.parametrize("name", ALONE)
def test_every_model_replays_like_plain_steps(name, tmp_path, monkeypatch):
    data = dataset(SESSIONS * 40, ["train"] * 39 * len(SESSIONS) + ["validation"] * len(SESSIONS), TEXTS)
    dropouts = dict.fromkeys(
        ("dropout", "text_dropout", "item_dropout", "output_dropout", "adaptor_dropout"), 0.0
    )
    own = task(name, data, tmp_path, epochs=2, batch_size=32, m_gap=1, m_random=1, **dropouts)
    losses = []
    for packs in (False, True):
        if not packs:
            monkeypatch.setattr(TrainingBatches, "packs", lambda self, padded: False)
        fitted = fit(name, replace(own, device=torch.device("cuda")))
        monkeypatch.undo()
        losses.append([row["loss"] for row in fitted.history])
    draws = name in DRAWS or name.endswith(("_sampled", "_separate", "_dropout"))
    np.testing.assert_allclose(*losses, rtol=0.3 if draws else 0.02, atol=1e-3)
