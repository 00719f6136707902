"""Models of texts from other papers: each checked against its published formula, written out."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from alterrec.engine.windows import Windows
from alterrec.sequence_models.experts import MixtureOfExperts
from alterrec.sequence_models.frequency_fusion import FrequencyFusion
from alterrec.sequence_models.s3_pretraining import segments
from alterrec.sequence_models.whitening import leading_coordinates, whitened
from tests.planted import CPU, TEXT_OF_ITEM, no_signal, text_signal
from tests.unit.test_baselines import fit, task

MODELS = ("unisrec", "unisrec_id", "whitenrec", "sasrec_delta", "alphafuse", "fdsa", "tedrec", "s3rec")
GENERATOR = np.random.default_rng(0)
TEXT = torch.from_numpy(GENERATOR.normal(size=(9, 5)) @ GENERATOR.normal(size=(5, 5)) + 3)


def of_items(vectors: torch.Tensor) -> np.ndarray:
    return vectors[TEXT_OF_ITEM].numpy()


def scores_and_network(name: str, folder, data, **settings):
    """Scores [I, N] of test prefixes by a trained model, and its network."""
    network = fit(name, task(name, data, folder, epochs=2, **settings)).scorer.network
    batch = next(Windows(data, ("test",), 50, CPU).in_order(20))
    with torch.no_grad():
        states, matrix = network(batch)
        return states @ matrix.T, network


@pytest.mark.parametrize("block", [2, 2**14])
def test_whitened_texts_have_the_identity_as_covariance(block, monkeypatch):
    monkeypatch.setattr("alterrec.sequence_models.whitening.BLOCK", block)
    found = of_items(whitened(TEXT, TEXT_OF_ITEM))
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(found.T, bias=True), np.eye(5), atol=1e-6)


def test_whitening_is_the_one_that_stays_nearest_to_the_texts():
    """ZCA: the map is the inverse square root of the covariance, which is symmetric."""
    values, axes = np.linalg.eigh(np.cov(of_items(TEXT).T, bias=True))
    inverse_root = axes @ np.diag(values**-0.5) @ axes.T
    expected = (of_items(TEXT) - of_items(TEXT).mean(0)) @ inverse_root
    np.testing.assert_allclose(of_items(whitened(TEXT, TEXT_OF_ITEM)), expected, atol=1e-6)


def test_equal_texts_become_zero():
    assert not whitened(TEXT[:1], torch.zeros(4, dtype=torch.int64)).any()


@pytest.mark.parametrize("standardised", [False, True])
def test_leading_coordinates_are_the_principal_components(standardised):
    from sklearn.decomposition import PCA

    expected = PCA(3).fit_transform(of_items(TEXT))
    if standardised:
        expected = expected / expected.std(0)
    found = of_items(leading_coordinates(TEXT, TEXT_OF_ITEM, 3, standardised))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-6)
    assert not leading_coordinates(TEXT, TEXT_OF_ITEM, 7, standardised)[:, 5:].any()


def test_the_mixture_is_a_gated_sum_whose_gates_sum_to_one():
    torch.manual_seed(0)
    mixture = MixtureOfExperts(5, 4, 3, dropout=0.0).double()
    for parameter in mixture.parameters():
        torch.nn.init.normal_(parameter)
    for mode in (True, False):
        gates = mixture.train(mode).gates(TEXT)
        torch.testing.assert_close(gates.sum(1), torch.ones(9, dtype=torch.float64))
        assert torch.equal(gates, mixture.gates(TEXT)) is not mode  # noise in training alone
    for x, gate, found in zip(TEXT, gates, mixture(TEXT), strict=True):
        expected = sum(
            share * expert.map.weight @ (x - expert.shift)
            for share, expert in zip(gate, mixture.experts, strict=True)
        )
        torch.testing.assert_close(found, expected)


def literal_convolution(a: list[float], b: list[float]) -> list[float]:
    """The circular convolution of two signals over the root of their length, term by term."""
    n = len(a)
    return [sum(a[s] * b[(t - s) % n] for s in range(n)) / math.sqrt(n) for t in range(n)]


@pytest.mark.parametrize("length", [7, 8])
def test_products_of_spectra_are_convolutions_along_the_prefix(length):
    torch.manual_seed(0)
    fuse = FrequencyFusion(length, 2).double()
    torch.nn.init.normal_(fuse.filter)
    ids, texts = F.pad(torch.randn(2, 3, 5, 2, dtype=torch.float64), (0, 0, 0, length - 5))
    kernel = torch.fft.irfft(torch.view_as_complex(fuse.filter), n=length, dim=0, norm="ortho")
    expected = torch.empty_like(ids)
    for row in range(3):
        convolved = [
            [literal_convolution(ids[row, :, k].tolist(), other[:, k].tolist()) for k in range(2)]
            for other in (kernel, texts[row])
        ]
        filtered, mixed = (torch.tensor(each, dtype=torch.float64).T for each in convolved)
        gates = torch.sigmoid(fuse.filter_gate(filtered)), torch.sigmoid(fuse.text_gate(mixed))
        expected[row] = 2 * (filtered * gates[0] + mixed * gates[1])
    torch.testing.assert_close(fuse(ids, texts), expected)
    torch.testing.assert_close(fuse(ids[:, :5], texts[:, :5]), expected[:, :5])  # zeros may be left out


@pytest.mark.parametrize("name", ["unisrec", "unisrec_id", "alphafuse", "tedrec"])
def test_scores_are_cosines_over_the_temperature(name, tmp_path):
    scores, _ = scores_and_network(name, tmp_path, text_signal(sessions=150), temperature=0.5)
    assert (scores * 0.5).abs().max() <= 1 + 1e-6
    assert (scores * 0.5).abs().max() > 0.5


def test_unisrec_adds_the_id_to_the_adapted_text(tmp_path):
    _, network = scores_and_network("unisrec_id", tmp_path, no_signal(60, 120))
    adapted = network.adaptor(network.text)[network.text_of_item]
    torch.testing.assert_close(network.item_vectors(), adapted + network.item.weight)


def test_a_correction_is_never_longer_than_its_bound(tmp_path):
    data = text_signal(items=100, sessions=150)
    _, network = scores_and_network("sasrec_delta", tmp_path, data, learning_rate=0.1, delta_norm=0.4)
    norms = (network.item_vectors() - network.text[network.text_of_item]).norm(dim=1)
    assert norms.max() <= 0.4 + 1e-6 and (norms > 0.4 - 1e-6).float().mean() > 0.3
    torch.testing.assert_close(network.text.norm(dim=1), torch.ones(len(network.text)))


def test_a_cold_item_stays_at_its_text(tmp_path):
    data = text_signal(items=100, sessions=150)
    cold = torch.from_numpy(data.train_count == 0)
    assert 0 < cold.sum() < len(cold)
    _, network = scores_and_network("sasrec_delta", tmp_path, data, learning_rate=0.1)
    moved = network.delta.weight.norm(dim=1) > 0
    assert torch.equal(moved, ~cold)


@pytest.mark.parametrize("name", ["alphafuse", "sasrec_delta"])
def test_coordinates_along_axes_are_stored_with_the_weights(name, tmp_path):
    _, network = scores_and_network(name, tmp_path, no_signal(60, 120))
    assert torch.equal(network.state_dict()["text"], network.text)


@pytest.mark.parametrize(("start", "low", "high"), [("normal", 0.9, 1.1), ("zeros", 0.0, 1e-6)])
def test_ids_of_alphafuse_begin_as_large_as_the_coordinates_of_texts_or_at_zero(start, low, high, tmp_path):
    settings = {"learning_rate": 1e-9, "id_initialisation": start}
    _, network = scores_and_network("alphafuse", tmp_path, no_signal(400, 120), **settings)
    assert low <= network.item.weight.std() <= high


def test_fine_tuning_has_the_rate_of_pre_training(tmp_path):
    history = fit("s3rec", task("s3rec", no_signal(60, 120), tmp_path, epochs=4)).history
    assert len({row["learning_rate"] for row in history}) == 1
    with pytest.raises(ValueError, match="schedule"):
        task("s3rec", no_signal(60, 120), tmp_path, schedule="step")


def test_ids_change_the_last_coordinates_of_a_text_alone(tmp_path):
    """Training leaves the texts' standardised coordinates as they were, and the first of them are those of the item."""
    data = no_signal(items=60, sessions=120)
    text = (GENERATOR.normal(size=(60, 20)) * 0.8 ** np.arange(20)).astype(np.float32)
    own = replace(task("alphafuse", data, tmp_path, epochs=2, null_share=0.25), text=(text, np.arange(60)))
    network = fit("alphafuse", own).scorer.network
    both = network.item_vectors().detach()
    with torch.no_grad():
        network.item.weight.zero_()
    of_texts = network.item_vectors().detach()
    of_ids = both - of_texts
    assert not of_ids[:, :12].any() and of_ids[:, 12:].abs().max() > 0.1
    left, _, _ = np.linalg.svd(text - text.mean(0), full_matrices=False)
    kept = math.sqrt(60) * left[:, :16]  # unit variance along each axis
    np.testing.assert_allclose(of_texts @ of_texts.T, kept @ kept.T, atol=1e-3)


@pytest.mark.parametrize("name", ["unisrec", "unisrec_id", "tedrec"])
def test_the_adaptor_reads_texts_whose_coordinates_have_mean_square_one(name, tmp_path, monkeypatch):
    data, read = no_signal(items=60, sessions=120), []
    adapt = MixtureOfExperts.forward
    monkeypatch.setattr(MixtureOfExperts, "forward", lambda own, x: read.append(x) or adapt(own, x))
    text = F.normalize(torch.from_numpy(GENERATOR.normal(size=(60, 20))).float(), dim=1).numpy()
    fit(name, replace(task(name, data, tmp_path, epochs=1), text=(text, np.arange(60))))
    mean_square = torch.cat(read).square().mean(1)
    torch.testing.assert_close(mean_square, torch.ones_like(mean_square))


@pytest.mark.parametrize("name", (*MODELS, "mutual_distillation", "fusion_score_dropout"))
def test_trains_with_products_in_bfloat16(name, tmp_path):
    history = fit(name, task(name, no_signal(60, 120), tmp_path, epochs=2, precision="bfloat16")).history
    assert len(history) == 2 and all(math.isfinite(epoch["loss"]) for epoch in history)


def test_a_segment_is_up_to_half_of_its_prefix_and_the_wrong_one_is_of_another_prefix():
    torch.manual_seed(0)
    length = torch.tensor([1, 2, 5, 8] * 200)
    row = torch.arange(len(length))
    items = torch.where(torch.arange(8) < length[:, None], 10 * row[:, None] + torch.arange(8), -1)
    segment, wrong = segments(items, length)
    places = [own.nonzero().flatten().tolist() for own in segment]
    sizes = {
        n: {len(own) for own, m in zip(places, length.tolist(), strict=True) if m == n} for n in (1, 2, 5, 8)
    }
    assert sizes == {1: {1}, 2: {1}, 5: {1, 2}, 8: {1, 2, 3, 4}}
    starts = {own[0] for own, n in zip(places, length.tolist(), strict=True) if n == 8}
    assert starts == set(range(8))
    for i, (own, other, n) in enumerate(zip(places, wrong, length.tolist(), strict=True)):
        assert own == list(range(own[0], own[-1] + 1)) and own[-1] < n
        taken = other[own]
        assert (taken >= 0).all() and taken[0] % 10 == 0
        assert len(set((taken // 10).tolist())) == 1 and taken[0] // 10 != i


def test_pretraining_losses_are_the_literal_ones(tmp_path):
    """Every draw is repeated, and the terms are added one by one."""
    settings = {"epochs": 1, "pretraining": 0.9, "dropout": 0.0, "text_weight": 0.3, "item_weight": 0.7}
    own = task("s3rec", text_signal(items=40, topics=8, sessions=60), tmp_path, **settings)
    learner = fit("s3rec", own).scorer
    network = learner.network
    windows = Windows(own.dataset, ("train",), 50, CPU)
    ((items, length),) = windows.batch(torch.arange(9)).prefix_rows()
    weight = torch.rand(len(length))
    with torch.no_grad():
        torch.manual_seed(3)
        found = learner.masked_loss(items, length, weight)
        torch.manual_seed(3)
        masked = (torch.rand(items.shape) < 0.2).tolist()
        wrong = torch.randint(39, (items.numel(), 1)).view_as(items)
        wrong = wrong + (wrong >= items)
        texts = network.project(network.text)
        expected = 0.0
        for i, n in enumerate(length.tolist()):
            row = items[i, :n].clone()
            row[torch.tensor(masked[i][:n])] = 40
            states = network.encoder(network.item(row[None]), length[i : i + 1], causal=False)[0]
            for t in range(n):
                state, item = states[t], items[i, t]
                of_text = network.of_masked_text if masked[i][t] else network.of_text
                text = F.cross_entropy(texts @ of_text(state), network.text_of_item[item])
                expected += weight[i] * (1.0 if masked[i][t] else 0.3) * text
                if masked[i][t]:
                    vector = network.of_item(state)
                    right, other = (
                        torch.sigmoid(vector @ network.item.weight[each]) for each in (item, wrong[i, t])
                    )
                    expected -= 0.7 * weight[i] * torch.log(torch.sigmoid(right - other))
    torch.testing.assert_close(found, expected)
