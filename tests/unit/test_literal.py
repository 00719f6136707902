"""The one-pass networks and losses equal the literal, prefix-expanding oracle: loss and gradients, in float64."""

import numpy as np
import pytest
import torch

from alterrec.engine.windows import Windows
from alterrec.method import losses
from alterrec.method.losses import full_softmax, sampled_softmax
from tests.planted import (
    CONFIG,
    CPU,
    ITEMS,
    MAX_LENGTH,
    SESSIONS,
    GivenNegatives,
    dataset,
    drawn_negatives,
    gradients,
    small_network,
    train_windows,
)
from tests.reference import literal


def literal_matrix(parameters: dict, text: torch.Tensor | None) -> torch.Tensor:
    return literal.id_matrix(parameters) if text is None else literal.text_matrix(text, parameters)


def instance_of(index: int) -> tuple[list[int], int]:
    """The (prefix, target) whose target is at `index` of the sessions' flat items."""
    flat = np.concatenate(SESSIONS)
    starts = np.cumsum([0] + [len(session) for session in SESSIONS])
    session = np.searchsorted(starts, index, side="right") - 1
    return flat[starts[session] : index].tolist(), int(flat[index])


@pytest.mark.parametrize("initialisation", ["authors", "xavier", "unit_gain"])
@pytest.mark.parametrize("negatives", ["all", "multiset", "set"])
@pytest.mark.parametrize("kind", ["id", "text"])
def test_loss_and_gradients_equal_the_oracle(kind, negatives, initialisation, monkeypatch):
    network, text = small_network(kind, initialisation)
    windows = train_windows(SESSIONS)
    batch = windows.batch(torch.arange(len(windows)))
    drawn, counts = drawn_negatives(len(batch))
    if negatives == "set":
        counts = counts.clamp(max=1)
    lists = {
        "all": [list(range(ITEMS))] * len(batch),
        "multiset": drawn.tolist(),
        "set": [sorted(set(row)) for row in drawn.tolist()],
    }[negatives]
    instances = [instance_of(index) for index in batch.instance.tolist()]
    parameters = dict(network.named_parameters())
    matrix = literal_matrix(parameters, text)
    slow = literal.mean_loss(
        instances, matrix, parameters, CONFIG.heads, MAX_LENGTH, network.temperature, lists
    )

    slow_gradients = gradients(network, slow)
    for rows in (7, 1000):  # the number of instances whose scores exist at once
        monkeypatch.setattr(losses, "rows_at_once", lambda *_, rows=rows: rows)
        if negatives == "all":
            fast = full_softmax(network, batch)
        else:
            given = GivenNegatives(counts)
            fast = sampled_softmax(network, batch, batch.target, batch.mean_over(), given)
        torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)
        for name, gradient in gradients(network, fast).items():
            torch.testing.assert_close(gradient, slow_gradients[name], rtol=1e-8, atol=1e-10, msg=name)


@pytest.mark.parametrize("kind", ["id", "text"])
def test_scores_equal_the_oracle_and_items_with_one_text_tie(kind):
    network, text = small_network(kind)
    data = dataset(SESSIONS, ["test"] * len(SESSIONS), ["t"] * ITEMS)
    batch = Windows(data, ("test",), MAX_LENGTH, CPU).batch(torch.tensor([3, 4]))
    scores = network.eval()(batch)
    parameters = dict(network.named_parameters())
    matrix = literal_matrix(parameters, text)
    prefix, _ = instance_of(int(batch.instance[0]))
    vector = literal.session_vector(prefix, matrix, parameters, CONFIG.heads, MAX_LENGTH)
    torch.testing.assert_close(scores[0], vector @ matrix.T / network.temperature, rtol=0, atol=1e-10)
    if kind == "text":
        assert torch.equal(scores[:, 0], scores[:, 4]) and torch.equal(scores[:, 11], scores[:, 12])


def test_unit_gain_starts_with_text_vectors_larger_by_one_over_the_temperature():
    (small, _), (large, _) = small_network("text", "xavier"), small_network("text", "unit_gain")
    torch.testing.assert_close(large.vectors(), small.vectors() / CONFIG.temperature)
    assert all(
        parameter.eq(1).all() for name, parameter in large.named_parameters() if name.endswith("norm.weight")
    )


def test_dropout_is_where_the_oracle_has_it():
    """Session vectors are random under dropout; their mean and spread are those of the oracle."""
    draws, rate, prefix = 3000, 0.3, [1, 2, 3]
    network, _ = small_network("id")
    for block in network.encoder.blocks:
        block.dropout.p = rate
    network.encoder.dropout.p = rate
    network.train()
    batch = train_windows([[*prefix, 4]] * draws).batch(torch.arange(draws))
    parameters = dict(network.named_parameters())
    with torch.no_grad():
        fast = network.encode(batch)[0].view(draws, len(prefix), -1)[:, -1]
        matrix = literal.id_matrix(parameters)
        slow = torch.stack(
            [
                literal.session_vector(prefix, matrix, parameters, CONFIG.heads, MAX_LENGTH, rate)
                for _ in range(draws)
            ]
        )
    error = ((fast.var(0) + slow.var(0)) / draws).sqrt()
    assert ((fast.mean(0) - slow.mean(0)).abs() < 4.5 * error).all()
    torch.testing.assert_close(fast.std(0), slow.std(0), rtol=0.1, atol=0)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_attention_probabilities_are_dropped_at_the_rate(rate):
    """The first position attends to itself alone, so its probability 1 is dropped or divided by 1 - rate."""
    network, _ = small_network("id")
    block = network.encoder.blocks[0].train()
    block.dropout.p = rate
    layout = train_windows([[1, 2]] * 4000).batch(torch.arange(4000)).layout
    x = torch.randn(8, dtype=torch.float64).expand(4000, 8)
    with torch.no_grad():
        out = block.attention(x, layout)
        block.out.weight.copy_(torch.eye(8))
        heads = block.attention(x, layout).unflatten(1, (CONFIG.heads, -1))
        kept = (heads != 0).all(2)
        value = (x @ block.qkv.weight[16:].T).unflatten(1, (CONFIG.heads, -1))
    assert out.shape == x.shape and float(kept.double().mean()) == pytest.approx(1 - rate, abs=0.03)
    torch.testing.assert_close(heads, torch.where(kept[..., None], value / (1 - rate), 0.0))
