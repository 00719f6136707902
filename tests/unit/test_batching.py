"""Training batches: every instance once, drawn without regard to its session, and the loss of the literal program."""

from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alterrec.engine.batching import TILE, Draw, TrainingBatches, groups_of
from alterrec.engine.windows import Batch, Layout
from alterrec.method.losses import sampled_softmax
from alterrec.study.settings import NeuralConfig
from tests.planted import CONFIG, ITEMS, GivenNegatives, gradients, small_network, train_windows
from tests.reference import literal
from tests.reference.literal import expand_prefixes

KINDS = [("prefixes", None), ("sessions", None), ("sessions", 1), ("sessions", 3)]
walks = st.lists(st.lists(st.integers(0, 12), min_size=2, max_size=40), min_size=1, max_size=30)


def batches_of(sessions, max_length: int, batch_size: int, kind: tuple[str, int | None]) -> TrainingBatches:
    batches, pieces = kind
    config = NeuralConfig(
        dimension=8,
        max_length=max_length,
        batch_size=batch_size,
        batches=batches,
        prefixes_per_session=pieces,
    )
    return TrainingBatches(train_windows(sessions, ITEMS, max_length), config)


def rows_of(batch: Batch) -> list[tuple[list[int], int]]:
    """Per token its row's items up to it, with its place in the row, in the order of `batch.tokens`."""
    tokens, places = batch.tokens.tolist(), batch.layout.place.tolist()
    return [tokens[end - place : end + 1] for end, place in enumerate(places)]


def instances_of(batch: Batch) -> list[tuple[tuple[int, ...], int, int]]:
    """(items that the encoder reads up to the instance's state, label, view) of every real instance of a batch."""
    seen = rows_of(batch)
    real = range(len(batch)) if batch.valid is None else batch.valid.nonzero().flatten().tolist()
    return [(tuple(seen[batch.state[i]]), int(batch.target[i]), int(batch.view[i])) for i in real]


def laid_out(batches: TrainingBatches, drawn: Draw, fixed_shapes: bool) -> list[Batch]:
    """The drawn batches, as they are or filled up to fixed shapes."""
    if fixed_shapes:
        return [shape.batch(numbers) for shape, numbers in chain(*batches.of_fixed_shapes(drawn))]
    return list(batches.one_by_one(drawn))


@settings(max_examples=40, deadline=None)
@given(
    walks, st.integers(1, 40), st.integers(1, 40), st.sampled_from(KINDS), st.integers(1, 3), st.booleans()
)
def test_every_instance_occurs_once_under_each_view(
    sessions, max_length, batch_size, kind, views, fixed_shapes
):
    batches = batches_of(sessions, max_length, batch_size, kind)
    drawn = batches.draw(np.random.default_rng(0), views)
    made = laid_out(batches, drawn, fixed_shapes)
    if fixed_shapes:
        for batch in made:
            assert_tiles_cover_whole_rows(batch.layout)
    assert len(made) == len(drawn)
    found = sorted(instance for batch in made for instance in instances_of(batch))
    pairs = [(tuple(p[-max_length:]), t) for walk in sessions for p, t in expand_prefixes(walk)]
    assert found == sorted((*pair, view) for pair in pairs for view in range(views))


@settings(max_examples=40, deadline=None)
@given(walks, st.integers(1, 40), st.integers(1, 40), st.sampled_from(KINDS), st.booleans())
def test_prefixes_are_rows_of_their_own(sessions, max_length, batch_size, kind, fixed_shapes):
    batches = batches_of(sessions, max_length, batch_size, kind)
    for batch in laid_out(batches, batches.draw(np.random.default_rng(0)), fixed_shapes):
        blocks = batch.prefix_rows()
        rows = [
            (row[:count], row[count:])
            for items, length in blocks
            for row, count in zip(items.tolist(), length.tolist(), strict=True)
        ]
        assert not any(any(behind) for _, behind in rows)
        assert len(rows) == len(batch)
        real = instances_of(batch)
        assert [tuple(prefix) for prefix, _ in rows[: len(real)]] == [prefix for prefix, _, _ in real]
        if fixed_shapes and kind[0] == "sessions":
            assert [items.shape for items, _ in blocks] == [(len(batch), batches.windows.longest)]


def test_prefixes_of_fixed_shapes_are_blocks_of_few_widths():
    """Most batches take less than half of the padding of one block; a batch that does not fit is one block."""
    generator = np.random.default_rng(0)
    sessions = [list(generator.integers(0, 13, 2 + int(generator.exponential(7)))) for _ in range(3000)]
    batches = batches_of(sessions, 50, 128, ("prefixes", None))
    epochs = [
        shape for _ in range(3) for shape, _ in chain(*batches.of_fixed_shapes(batches.draw(generator)))
    ]
    (blocks,) = {shape.prefixes for shape in epochs} - {None}
    assert [count for count, _ in blocks] == [8, 24, 32, 64]
    assert sum(shape.prefixes is None for shape in epochs) < 0.01 * len(epochs)
    assert sum(count * width for count, width in blocks) < 128 * batches.windows.longest / 2
    longest_first = np.argsort(-batches.table[:, 1], kind="stable")[:256]
    unusual = Draw(longest_first, np.zeros(256, int), np.repeat([0, 1], 128), 128)
    made = [shape.batch(numbers) for shape, numbers in chain(*batches.of_fixed_shapes(unusual))]
    assert [batch.layout.prefixes for batch in made] == [None, None]
    assert [len(batch.prefix_rows()) for batch in made] == [1, 1]


def assert_tiles_cover_whole_rows(layout: Layout) -> None:
    end = 0
    for first, count in layout.tiles.T.tolist():
        assert first == end and count <= TILE
        assert not count or layout.place[first] == 0, "a tile begins with a row"
        end += count
    assert end == len(layout.place)


def test_batches_of_prefixes_have_exactly_the_batch_size_and_ignore_sessions():
    generator = np.random.default_rng(0)
    sessions = [list(generator.integers(0, 13, generator.integers(2, 30))) for _ in range(300)]
    batches = batches_of(sessions, 50, 64, ("prefixes", None))
    drawn = batches.draw(np.random.default_rng(0))
    sizes = np.bincount(drawn.batch)
    assert len(sizes) == batches.plain and (sizes[:-1] == 64).all()
    offsets = batches.windows.table[:, 0]
    owner = np.searchsorted(offsets, batches.table[drawn.row, 0], side="right")
    together = [len(np.unique(owner[drawn.batch == batch])) for batch in range(len(sizes) - 1)]
    assert np.mean(together) > 50, "64 instances of 300 sessions come from more than 50 of them"
    lengths = batches.table[drawn.row, 1]
    means = [lengths[drawn.batch == batch].mean() for batch in range(len(sizes) - 1)]
    assert np.std(means) == pytest.approx(lengths.std() / np.sqrt(64), rel=0.3), (
        "lengths are mixed, not sorted"
    )


def test_batches_of_sessions_have_about_the_batch_size():
    generator = np.random.default_rng(0)
    sessions = [list(generator.integers(0, 9, generator.integers(2, 12))) for _ in range(400)]
    batches = batches_of(sessions, 50, 64, ("sessions", None))
    sizes = [len(batch) for batch in batches.one_by_one(batches.draw(generator))]
    assert max(sizes) <= 64 + 11 and sum(sizes) == batches.windows.instances


def test_an_augmented_epoch_mixes_originals_and_augmented_one_by_one():
    sessions = [[1, 2, 3, 4, 5]] * 400
    drawn = batches_of(sessions, 50, 60, ("prefixes", None)).draw(np.random.default_rng(0), views=6)
    originals = np.bincount(drawn.batch, drawn.view == 0)
    assert originals.mean() == pytest.approx(10, abs=0.5)
    assert originals.std() == pytest.approx(np.sqrt(60 * 1 / 6 * 5 / 6), rel=0.2), "as under shuffling"


@settings(max_examples=20, deadline=None)
@given(walks, st.integers(1, 40), st.integers(1, 6), st.sampled_from(KINDS))
def test_larger_batches_hold_every_instance_under_every_view_in_the_steps_of_a_plain_epoch(
    sessions, batch_size, views, kind
):
    batches = batches_of(sessions, 50, batch_size, kind)
    drawn = batches.draw(np.random.default_rng(0), views, factor=views)
    made = [shape.batch(numbers) for shape, numbers in chain(*batches.of_fixed_shapes(drawn))]
    found = sorted(instance for batch in made for instance in instances_of(batch))
    pairs = [(tuple(p), t) for walk in sessions for p, t in expand_prefixes(walk)]
    assert found == sorted((*pair, view) for pair in pairs for view in range(views))
    assert batches.labels(drawn) == len(pairs)
    if kind[0] == "prefixes":
        assert len(made) == batches.plain == -(-len(pairs) // batch_size)


def test_the_labels_of_a_draw_are_its_instances_that_are_not_augmented():
    batches = batches_of([[1, 2, 3, 4, 5]] * 40, 50, 16, ("prefixes", None))
    drawn = batches.draw(np.random.default_rng(0), views=3, limit=4)
    by_hand = sum(view == 0 for batch in batches.one_by_one(drawn) for *_, view in instances_of(batch))
    assert batches.labels(drawn) == by_hand < 64


def test_a_limit_keeps_the_first_batches():
    batches = batches_of([[1, 2, 3, 4]] * 50, 50, 16, ("prefixes", None))
    whole, cut = (batches.draw(np.random.default_rng(0), 3, limit) for limit in (None, 4))
    assert len(cut) == 4 and np.array_equal(cut.row, whole.row[: len(cut.row)])


def test_a_padded_augmented_row_repeats_item_0_as_the_authors_program_reads_it():
    batches = batches_of([[7, 8, 9, 10], [4, 5]], 6, 50, ("prefixes", None))
    drawn = batches.draw(np.random.default_rng(0), views=2)
    (batch,) = batches.one_by_one(drawn, padded=True)
    by_hand = [
        ((7,), 8, 0),
        ((7, 8), 9, 0),
        ((7, 8, 9), 10, 0),
        ((4,), 5, 0),
        ((7, 0, 0, 0, 0, 0), 8, 1),
        ((7, 8, 0, 0, 0, 0), 9, 1),
        ((7, 8, 9, 0, 0, 0), 10, 1),
        ((4, 0, 0, 0, 0, 0), 5, 1),
    ]
    assert sorted(instances_of(batch)) == sorted(by_hand)


def test_groups_are_as_wide_as_their_longest_row():
    assert groups_of(np.array([1, 2, 2, 7, 40, 50])) == ((1, 50), (1, 40), (1, 7), (2, 2), (1, 1))


@pytest.mark.parametrize("fixed_shapes", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network_kind", ["id", "text"])
def test_loss_and_gradients_of_a_batch_equal_the_oracle(network_kind, kind, padded, fixed_shapes):
    if padded and kind[0] != "prefixes":
        padded = False
    network, text = small_network(network_kind)
    sessions = [
        [1, 2, 3],
        [4, 0, 0, 5],
        [6, 7],
        [8, 9, 10, 11, 12, 1, 2, 3, 0],
        [3, 9, 11, 10, 12, 1, 2, 5, 8],
    ]
    batches = batches_of(sessions, CONFIG.max_length, 14, kind)
    drawn = batches.draw(np.random.default_rng(1), views=2, limit=2)
    fixed = (shape.batch(numbers) for shape, numbers in chain(*batches.of_fixed_shapes(drawn, padded)))
    made = fixed if fixed_shapes else batches.one_by_one(drawn, padded)
    generator = torch.Generator().manual_seed(1)
    for batch in made:
        negatives = torch.randint(13, (len(batch), 20), generator=generator)
        counts = torch.zeros(len(batch), 13, dtype=torch.float64)
        counts.scatter_add_(1, negatives, torch.ones(negatives.shape, dtype=torch.float64))
        fast = sampled_softmax(network, batch, batch.target, batch.mean_over(), GivenNegatives(counts))
        real = range(len(batch)) if batch.valid is None else batch.valid.nonzero().flatten().tolist()
        instances = [(list(prefix), label) for prefix, label, _ in instances_of(batch)]
        drawn_items = [negatives[i].tolist() for i in real]
        parameters = dict(network.named_parameters())
        matrix = literal.id_matrix(parameters) if text is None else literal.text_matrix(text, parameters)
        slow = literal.mean_loss(
            instances, matrix, parameters, CONFIG.heads, CONFIG.max_length, network.temperature, drawn_items
        )
        torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)
        slow_gradients = gradients(network, slow)
        for name, gradient in gradients(network, fast).items():
            torch.testing.assert_close(gradient, slow_gradients[name], rtol=1e-8, atol=1e-10, msg=name)


def test_fixed_shapes_are_few():
    generator = np.random.default_rng(0)
    sessions = [list(generator.integers(0, 13, generator.integers(2, 30))) for _ in range(400)]
    batches = batches_of(sessions, 50, 64, ("prefixes", None))
    drawn = batches.draw(np.random.default_rng(0))
    shapes = [shape for shape, _ in chain(*batches.of_fixed_shapes(drawn))]
    assert len(shapes) == len(drawn) and len(set(shapes)) <= 6
    tokens = batches.lengths(drawn, padded=False).sum()
    assert sum(shape.tokens for shape in shapes) < 1.15 * tokens
