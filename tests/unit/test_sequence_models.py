"""Models of other papers: their losses and networks against literal programs, and batches of fixed shapes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor, FakeTensorMode

from alterrec.engine.batching import TrainingBatches
from alterrec.engine.checkpoint import Checkpoint, Stopped
from alterrec.engine.learner_interface import Epoch
from alterrec.engine.windows import Batch
from alterrec.sequence_models import published_sasrec
from alterrec.sequence_models.batch_negatives import BatchNegativesLearner, bpr_max, cross_entropy
from alterrec.sequence_models.prefix_network import PrefixLearner
from alterrec.sequence_models.published_sasrec import binary_cross_entropy, other_items
from baselines.gsasrec import positive_weight
from tests.planted import ITEMS, SESSIONS, dataset, train_windows
from tests.reference import published_losses
from tests.unit.test_baselines import fit, task

NAMES = ["sasrec_softmax", "sasrec", "gsasrec", "gru4rec", "narm", "core", "sr_gnn", "bert4rec"]
DATA = dataset(SESSIONS, ["train", "train", "validation", "train", "train"], ["a text"] * ITEMS)
DROPOUTS = dict.fromkeys(("dropout", "item_dropout", "output_dropout"), 0.0)


def trained(name: str, folder, **settings):
    """The learner of a model after one epoch, in float64 and without dropout, and the task."""
    settings = {"epochs": 1, "batch_size": 4, "max_length": 6, "blocks": 2} | DROPOUTS | settings
    own = task(name, DATA, folder, **settings)
    scorer = fit(name, own).scorer
    scorer.module.double()
    return scorer, own


def batches_of_both_kinds(own) -> list[tuple[Batch, Batch]]:
    """The same batches as they are, and filled up to fixed shapes."""
    batches = TrainingBatches(train_windows(SESSIONS, max_length=6), own.config)
    drawn = batches.draw(np.random.default_rng(0))
    fixed = [shape.batch(numbers) for block in batches.of_fixed_shapes(drawn) for shape, numbers in block]
    return list(zip(batches.one_by_one(drawn), fixed, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_that_is_filled_up_has_the_loss_of_the_batch_alone(name, tmp_path, monkeypatch):
    scorer, own = trained(name, tmp_path, last_only=1.0)
    monkeypatch.setattr(
        published_sasrec, "other_items", lambda item, draws, items: (item[:, None] + 1) % items
    )
    monkeypatch.setattr(BatchNegativesLearner, "drawn", lambda own: torch.arange(own.negatives) % ITEMS)
    for plain, filled in batches_of_both_kinds(own):
        losses = [scorer.loss(batch, Epoch("id", 1)).item() for batch in (plain, filled)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-9)
        assert len(plain) < len(filled) or filled.valid.all()


@pytest.mark.parametrize("name", NAMES)
def test_no_step_waits_for_a_result_on_the_device(name, tmp_path):
    """Fake tensors have shapes but no values, so whatever needs a value fails, as it does in a CUDA graph."""
    scorer, own = trained(name, tmp_path)
    _, batch = batches_of_both_kinds(own)[0]
    with FakeTensorMode(allow_non_fake_inputs=True):
        loss = scorer.loss(batch, Epoch("id", 1))
        gradients = torch.autograd.grad(loss, [*scorer.module.parameters()])
        assert loss.shape == () and isinstance(gradients[0], FakeTensor)
        with pytest.raises(DataDependentOutputException):
            loss.item()


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_stopped_goes_on_to_the_same_weights(name, tmp_path):
    own = task(name, DATA, tmp_path, epochs=3, batch_size=4)
    whole = fit(name, own)
    with pytest.raises(Stopped):
        fit(name, replace(own, checkpoint=Checkpoint.of(tmp_path, {}, deadline=0)))
    resumed = fit(name, replace(own, checkpoint=Checkpoint.of(tmp_path, {})))
    losses = [[(row["epoch"], row["loss"]) for row in run.history] for run in (whole, resumed)]
    assert losses[0] == losses[1]
    assert all(torch.equal(resumed.state[key], values) for key, values in whole.state.items())


def test_sasrec_is_that_of_the_paper(tmp_path):
    scorer, own = trained("sasrec", tmp_path, heads=2)
    weights = {name: values.numpy() for name, values in scorer.network.state_dict().items()}
    for batch, _ in batches_of_both_kinds(own):
        states, matrix = scorer.network(batch)
        prefixes = [
            row[:count].tolist() for block in batch.prefix_rows() for row, count in zip(*block, strict=True)
        ]
        expected = [published_losses.sasrec_state(prefix, weights, blocks=2, heads=2) for prefix in prefixes]
        np.testing.assert_allclose(states.detach().numpy(), np.stack(expected), rtol=0, atol=1e-10)
        assert matrix is scorer.network.item.weight


@pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
def test_the_loss_of_gsasrec_is_that_of_the_paper(calibration):
    scores = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = binary_cross_entropy(scores[:, 0], scores[:, 1:], positive_weight(3, 20, calibration))
    expected = [published_losses.generalised_bce(row[0], row[1:], 20, calibration) for row in scores.tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_negatives_are_all_items_but_the_next_one():
    item = torch.tensor([0, 3, 4])
    drawn = other_items(item, 2000, 5)
    for own, row in zip(item.tolist(), drawn, strict=True):
        counts = row.bincount(minlength=5)
        assert counts[own] == 0 and counts.sum() == 2000
        assert all(400 < count < 600 for index, count in enumerate(counts.tolist()) if index != own)


def test_the_losses_of_gru4rec_are_those_of_the_papers():
    scores = torch.randn(4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows = range(4)
    of_entropy = [published_losses.batch_cross_entropy(scores.numpy(), row) for row in rows]
    of_bpr_max = [published_losses.batch_bpr_max(scores.numpy(), row, 0.7) for row in rows]
    np.testing.assert_allclose(cross_entropy(scores), of_entropy, rtol=1e-12)
    np.testing.assert_allclose(bpr_max(scores, 0.7), of_bpr_max, rtol=1e-12)


def test_core_is_the_mean_of_a_prefix_weighted_by_a_softmax(tmp_path):
    scorer, own = trained("core", tmp_path, heads=2, temperature=0.5)
    network = scorer.network
    for batch in (batch for pair in batches_of_both_kinds(own) for batch in pair):
        states, _ = network(batch)
        for state, place, end in zip(states, batch.layout.place[batch.state], batch.state, strict=True):
            vectors = network.item.weight[batch.tokens[end - place : end + 1]]
            hidden = network.encoder(vectors[None], torch.tensor([len(vectors)]))[0]
            mean = network.weight(hidden).softmax(0).T @ vectors
            torch.testing.assert_close(state, mean[0] / mean.norm() / 0.5)


def test_the_penalty_of_sr_gnn_pulls_every_parameter_as_weight_decay_does(tmp_path):
    scorer, own = trained("sr_gnn", tmp_path, l2=0.3)
    batch, _ = batches_of_both_kinds(own)[0]
    parameters = list(scorer.network.parameters())
    with_penalty = torch.autograd.grad(scorer.loss(batch, Epoch("id", 1)), parameters)
    without = torch.autograd.grad(PrefixLearner.loss(scorer, batch, Epoch("id", 1)), parameters)
    for parameter, gradient, plain in zip(parameters, with_penalty, without, strict=True):
        torch.testing.assert_close(gradient, plain + 0.3 * parameter)


def test_cross_entropy_of_gru4rec_subtracts_the_log_of_how_often_an_item_is_a_negative(tmp_path, monkeypatch):
    drawn = torch.arange(7) % ITEMS
    monkeypatch.setattr(BatchNegativesLearner, "drawn", lambda own: drawn)
    settings = {"loss": "cross_entropy", "negatives": 7, "popularity_exponent": 0.3, "logq": 0.8}
    scorer, own = trained("gru4rec", tmp_path, **settings)
    batch, _ = batches_of_both_kinds(own)[0]
    count = np.maximum(own.dataset.train_count, 1)
    rate = np.concatenate([count[batch.target.numpy()], count[drawn.numpy()] ** 0.3])
    states, matrix = (part.detach().numpy() for part in scorer.network(batch))
    scores = states @ matrix[torch.cat([batch.target, drawn]).numpy()].T - 0.8 * np.log(rate)
    expected = np.mean([published_losses.batch_cross_entropy(scores, row) for row in range(len(batch))])
    assert scorer.loss(batch, Epoch("id", 1)).item() == pytest.approx(expected, rel=1e-6)


def test_gru4rec_draws_items_by_a_power_of_their_count(tmp_path):
    scorer, own = trained("gru4rec", tmp_path, negatives=100_000, popularity_exponent=0.5)
    weights = own.dataset.train_count**0.5
    share = scorer.drawn().bincount(minlength=ITEMS) / 100_000
    np.testing.assert_allclose(share, weights / weights.sum(), atol=0.01)
    assert set(np.flatnonzero(own.dataset.train_count == 0)).isdisjoint(scorer.drawn().tolist())


def test_bert4rec_masks_a_share_of_each_row_or_its_last_item(tmp_path):
    scorer, own = trained("bert4rec", tmp_path, masked_share=0.4, last_only=0.0)
    items = torch.tensor([[*range(1, 11)], [*range(5, 0, -1), 0, 0, 0, 0, 0]])
    length = torch.tensor([10, 5])
    read = []
    scorer.network.states_at = lambda place, rows, length: read.append(rows)
    for _ in range(20):
        _, label, masked = scorer.at_masks(items, length, torch.tensor([True, True]))
        masks = read[-1] == ITEMS
        assert masks.sum(1).tolist() == [4, 2]
        assert sorted(label[masked].tolist()) == sorted(items[masks].tolist())
        assert torch.equal(read[-1][~masks], items[~masks])
    assert torch.stack([rows == ITEMS for rows in read]).any(0).sum() == 15, "every item is masked at times"
    _, _, masked = scorer.at_masks(items, length, torch.tensor([False, True]))
    assert masked.view(2, -1).sum(1).tolist() == [0, 2], "a row that only fills the batch up has no label"


def test_bert4rec_expects_at_a_mask_what_it_expects_in_the_whole_row(tmp_path):
    scorer, _ = trained("bert4rec", tmp_path)
    network = scorer.network
    items, length = torch.arange(10).view(2, 5) % ITEMS, torch.tensor([5, 3])
    place = torch.tensor([[4, 0], [1, 2]])
    whole = network.expected(network.encoder(network.item(items), length, causal=False))
    expected = torch.stack([whole[row, at] for row, places in enumerate(place) for at in places])
    torch.testing.assert_close(network.states_at(place, items, length), expected)


def test_bert4rec_counts_its_labels(tmp_path):
    scorer, own = trained("bert4rec", tmp_path, last_only=1.0)
    scorer.start(Epoch("id", 1), None)
    batches = batches_of_both_kinds(own)
    for batch, _ in batches:
        scorer.loss(batch, Epoch("id", 1))
    assert int(scorer.masked) == sum(len(batch) for batch, _ in batches)
