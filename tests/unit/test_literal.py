"""The one-pass networks and losses equal the literal, prefix-expanding oracle: loss and gradients, in float64."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from alterrec.engine.windows import Windows
from alterrec.method import losses
from alterrec.method.losses import full_softmax, sampled_softmax
from alterrec.method.networks import id_network, text_network
from alterrec.study.settings import NeuralConfig
from tests.planted import dataset
from tests.reference import literal

ITEMS, MAX_LENGTH = 13, 6
TEXT_OF_ITEM = torch.tensor([0, 1, 2, 3, 0, 1, 4, 5, 6, 0, 7, 8, 8])
CONFIG = NeuralConfig(
    dimension=8, heads=2, blocks=2, dropout=0.0, max_length=MAX_LENGTH, initialisation="xavier"
)
SESSIONS = [[1, 2, 3], [4, 0, 0, 5], [6, 7], list(range(12)), [3, 9, 11, 10, 12, 1, 2, 5, 8]]


@dataclass(frozen=True)
class Given:
    """Negatives that a test has drawn: counts [I, N]."""

    drawn: torch.Tensor

    def counts(self, rows: slice) -> torch.Tensor:
        return self.drawn[rows].clone()


def networks(kind: str, initialisation: str):
    torch.manual_seed(0)
    config = CONFIG.model_copy(update={"initialisation": initialisation})
    text = torch.randn(9, 5, dtype=torch.float64)
    if kind == "id":
        return id_network(ITEMS, config).double(), None
    return text_network(text, TEXT_OF_ITEM, config).double(), text[TEXT_OF_ITEM]


def literal_loss(network, text, instances, negatives, temperature):
    parameters = dict(network.named_parameters())
    matrix = literal.id_matrix(parameters) if text is None else literal.text_matrix(text, parameters)
    return literal.mean_loss(instances, matrix, parameters, CONFIG.heads, MAX_LENGTH, temperature, negatives)


def gradients(network, loss) -> dict[str, torch.Tensor]:
    network.zero_grad()
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("initialisation", ["authors", "xavier", "unit_gain"])
@pytest.mark.parametrize("objective", ["full", "multiset", "set"])
@pytest.mark.parametrize("kind", ["id", "text"])
def test_loss_and_gradients_equal_the_oracle(kind, objective, initialisation, monkeypatch):
    network, text = networks(kind, initialisation)
    windows = Windows(
        dataset(SESSIONS, ["train"] * len(SESSIONS), ["t"] * ITEMS),
        ("train",),
        MAX_LENGTH,
        torch.device("cpu"),
    )
    batch = windows.batch(torch.arange(len(windows)))
    drawn = torch.randint(ITEMS, (len(batch), 20), generator=torch.Generator().manual_seed(1))
    counts = torch.zeros(len(batch), ITEMS, dtype=torch.float64).scatter_add_(
        1, drawn, torch.ones(drawn.shape).double()
    )
    if objective == "set":
        counts = counts.clamp(max=1)

    instances, negatives = [], []
    flat = np.concatenate(SESSIONS)
    starts = np.cumsum([0] + [len(s) for s in SESSIONS])
    for index, row in zip(batch.instance.tolist(), drawn.tolist(), strict=True):
        session = np.searchsorted(starts, index, side="right") - 1
        instances.append((flat[starts[session] : index].tolist(), int(flat[index])))
        negatives.append({"full": list(range(ITEMS)), "multiset": row, "set": sorted(set(row))}[objective])
    slow = literal_loss(network, text, instances, negatives, network.temperature)

    slow_gradients = gradients(network, slow)
    for rows in (7, 1000):  # instances whose scores exist at once
        monkeypatch.setattr(losses, "rows_at_once", lambda *_, rows=rows: rows)
        if objective == "full":
            fast = full_softmax(network, batch)
        else:
            fast = sampled_softmax(network, batch, batch.target, batch.mean_over(), Given(counts))
        torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)
        for name, gradient in gradients(network, fast).items():
            torch.testing.assert_close(gradient, slow_gradients[name], rtol=1e-8, atol=1e-10, msg=name)


@pytest.mark.parametrize("kind", ["id", "text"])
def test_scores_equal_the_oracle_and_shared_texts_tie(kind):
    network, text = networks(kind, "xavier")
    data = dataset(SESSIONS, ["test"] * len(SESSIONS), ["t"] * ITEMS)
    batch = Windows(data, ("test",), MAX_LENGTH, torch.device("cpu")).batch(torch.tensor([3, 4]))
    scores = network.eval()(batch)
    parameters = dict(network.named_parameters())
    matrix = literal.id_matrix(parameters) if text is None else literal.text_matrix(text, parameters)
    prefix = data.flat[data.offsets[3] : int(batch.instance[0])].tolist() if len(batch) else []
    vector = literal.session_vector(prefix, matrix, parameters, CONFIG.heads, MAX_LENGTH)
    torch.testing.assert_close(scores[0], vector @ matrix.T / network.temperature, rtol=0, atol=1e-10)
    if kind == "text":
        assert torch.equal(scores[:, 0], scores[:, 4]) and torch.equal(scores[:, 11], scores[:, 12])


def test_unit_gain_starts_text_logits_too_large_by_the_temperature():
    (small, _), (large, _) = networks("text", "xavier"), networks("text", "unit_gain")
    torch.testing.assert_close(large.vectors(), small.vectors() / CONFIG.temperature)
    assert all(
        parameter.eq(1).all() for name, parameter in large.named_parameters() if name.endswith("norm.weight")
    )
