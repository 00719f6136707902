"""What is measured of each branch after an epoch, and that measuring changes nothing."""

import pytest
import torch
from torch.nn import functional as F

from alterrec.engine.learner_interface import Epoch
from alterrec.method.fusion import FusionNetwork
from alterrec.method.learners import Fused, Joint, Single
from alterrec.method.networks import id_network, text_network
from tests.planted import CONFIG, ITEMS, SESSIONS, TEXT_OF_ITEM, train_windows

LEARNERS = ["id_only", "text_only", "sum", "concat", "gate", "score"]
WINDOWS = train_windows(SESSIONS)
SAMPLE = WINDOWS.batch(torch.arange(len(WINDOWS)))


def learner(kind: str) -> Single | Fused | Joint:
    """A learner of small float64 networks, in evaluation mode."""
    torch.manual_seed(0)
    text = torch.randn(9, 5, dtype=torch.float64)
    networks = {"id": id_network(ITEMS, CONFIG), "text": text_network(text, TEXT_OF_ITEM, CONFIG)}
    if kind == "score":
        found = Joint(*networks.values())
    elif kind in ("id_only", "text_only"):
        part = kind.removesuffix("_only")
        found = Single(networks[part], part)
    else:
        found = Fused(FusionNetwork(ITEMS, text, TEXT_OF_ITEM, kind, CONFIG))
    found.module.double().eval()
    return found


def literal_weights(learner, part: str) -> torch.Tensor:
    """A branch's weights, found by name, as one vector."""
    names = {"id": ("embedding",), "text": ("project.weight", "project.bias")}[part]
    found = [weight for name, weight in learner.module.named_parameters() if name.endswith(names)]
    return torch.cat([weight.detach().flatten() for weight in found])


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_gradient_step_moves_a_branch_by_its_gradient_norm(kind):
    """One step of plain gradient descent ties both measures: |after - before| = rate * |gradient|."""
    found, rate = learner(kind), 1e-2
    found.start(Epoch("joint", 1), WINDOWS)
    parts = [part for part in ("id", "text") if part in found.scores(SAMPLE)]
    before = {part: literal_weights(found, part) for part in parts}
    measured = found.measures(SAMPLE)
    optimiser = torch.optim.SGD(found.module.parameters(), rate)
    F.cross_entropy(found.scores(SAMPLE)["model"], SAMPLE.target).backward()
    optimiser.step()
    after = found.measures(SAMPLE)
    for part, old in before.items():
        moved = (literal_weights(found, part) - old).norm()
        assert float(moved) == pytest.approx(rate * measured[f"{part}_gradient_norm"], rel=1e-9)
        assert after[f"{part}_update_size"] == pytest.approx(float(moved / old.norm()), rel=1e-9)
        assert measured[f"{part}_update_size"] == 0


@pytest.mark.parametrize("kind", LEARNERS)
def test_measuring_draws_nothing_and_leaves_no_gradient(kind):
    found = learner(kind)
    found.start(Epoch("joint", 1), WINDOWS)
    random = torch.get_rng_state()
    found.measures(SAMPLE)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in found.module.parameters())


def test_the_score_share_of_a_sum_is_that_of_its_two_contributions():
    found = learner("sum")
    e, x = found.network.modalities()
    states, matrix = found.network.encode(SAMPLE)
    of_id, of_text = ((states @ part.T).std(1, correction=0).mean().item() for part in (e, x))
    assert found.id_share(SAMPLE)["id_score_share"] == pytest.approx(of_id / (of_id + of_text), rel=1e-9)
    torch.testing.assert_close(states @ e.T + states @ x.T, states @ matrix.T)
