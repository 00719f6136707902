"""Windows cover every prefix of every session exactly once, whatever the lengths and the batching."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alterrec.engine.windows import Windows
from tests.planted import dataset, shuffled_batches
from tests.reference.literal import expand_prefixes
from tests.reference.trajectory import Prefixes

CPU = torch.device("cpu")
sessions = st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=17), min_size=1, max_size=12)


def seen_prefixes(batch, max_length: int) -> list[tuple[tuple[int, ...], int]]:
    """(what the encoder sees of the prefix, target) of every instance of a batch."""
    row, place = batch.state // batch.tokens.shape[1], batch.state % batch.tokens.shape[1]
    pairs = zip(row.tolist(), place.tolist(), batch.target.tolist(), strict=True)
    return [(tuple(batch.tokens[r, : p + 1].tolist()), target) for r, p, target in pairs]


@settings(max_examples=60, deadline=None)
@given(sessions, st.integers(1, 6), st.integers(1, 30), st.booleans())
def test_every_prefix_once(walks, max_length, instances, shuffled):
    windows = Windows(dataset(walks, ["train"] * len(walks), ["t"] * 10), ("train",), max_length, CPU)
    batches = (
        shuffled_batches(windows, instances, np.random.default_rng(0))
        if shuffled
        else windows.in_order(instances)
    )
    found = [pair for batch in batches for pair in seen_prefixes(batch, max_length)]
    expected = [(tuple(p[-max_length:]), t) for walk in walks for p, t in expand_prefixes(walk)]
    assert sorted(found) == sorted(expected)
    assert windows.instances == len(expected)


def test_only_the_named_splits():
    data = dataset([[0, 1], [2, 3], [4, 5]], ["train", "validation", "test"], ["t"] * 6)
    (batch,) = Windows(data, ("validation",), 5, CPU).in_order(10)
    assert batch.tokens.tolist() == [[2]] and batch.target.tolist() == [3] and batch.last_item.tolist() == [2]


def test_views_repeat_every_window():
    data = dataset([[0, 1, 2], [3, 4]], ["train"] * 2, ["t"] * 5)
    windows = Windows(data, ("train",), 5, CPU)
    pairs = [
        (int(i), int(v))
        for batch in shuffled_batches(windows, 2, np.random.default_rng(0), views=3)
        for i, v in zip(batch.instance, batch.view, strict=True)
    ]
    assert sorted(pairs) == [(i, v) for i in (1, 2, 4) for v in range(3)]


def test_batches_hold_about_as_many_instances_as_asked():
    generator = np.random.default_rng(0)
    walks = [list(generator.integers(0, 9, generator.integers(2, 12))) for _ in range(400)]
    windows = Windows(dataset(walks, ["train"] * 400, ["t"] * 9), ("train",), 50, CPU)
    sizes = [len(batch) for batch in shuffled_batches(windows, 64, generator)]
    assert len(sizes) == windows.batches(64)
    assert max(sizes) <= 64 + 11 and sum(sizes) == windows.instances


def test_prefix_expansion_has_the_same_instances_each_in_a_row_of_its_own():
    sessions = [[1, 2, 3], [4, 0, 0, 5], [6, 7], list(range(12))]
    data = dataset(sessions, ["train"] * 4, ["t"] * 13)
    one_pass, expanded = (kind(data, ("train",), 6, CPU) for kind in (Windows, Prefixes))

    def prefixes(windows):
        found = {}
        for batch in shuffled_batches(windows, 5, np.random.default_rng(0)):
            width = batch.tokens.shape[1]
            for state, instance in zip(batch.state.tolist(), batch.instance.tolist(), strict=True):
                row, end = divmod(state, width)
                found[instance] = batch.tokens[row, : end + 1].tolist()
        return found

    assert (
        prefixes(expanded) == prefixes(one_pass) and len(expanded) == one_pass.instances == expanded.instances
    )
