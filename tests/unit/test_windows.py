"""Windows cover every prefix of every session exactly once, for all lengths and batch sizes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from alterrec.engine.windows import Windows
from tests.planted import CPU, dataset, train_windows
from tests.reference.literal import expand_prefixes

sessions = st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=17), min_size=1, max_size=12)


def prefixes_and_targets(batch) -> list[tuple[tuple[int, ...], int]]:
    """(the items of the prefix that the encoder reads, target) for every instance of a batch of one group."""
    ((rows, length),) = batch.layout.groups
    tokens = batch.tokens.view(rows, length).tolist()
    places = [divmod(state, length) for state in batch.state.tolist()]
    pairs = zip(places, batch.target.tolist(), strict=True)
    return [(tuple(tokens[row][: place + 1]), target) for (row, place), target in pairs]


@settings(max_examples=60, deadline=None)
@given(sessions, st.integers(1, 6), st.integers(1, 30))
def test_every_prefix_occurs_once(walks, max_length, instances):
    windows = train_windows(walks, 10, max_length)
    found = [pair for batch in windows.in_order(instances) for pair in prefixes_and_targets(batch)]
    expected = [(tuple(p[-max_length:]), t) for walk in walks for p, t in expand_prefixes(walk)]
    assert sorted(found) == sorted(expected)
    assert windows.instances == len(expected)
    of_rows = [
        (tuple(row[:count]), target)
        for batch in windows.in_order(instances)
        for (items, length) in batch.prefix_rows()
        for row, count, target in zip(items.tolist(), length.tolist(), batch.target.tolist(), strict=True)
    ]
    assert of_rows == found


def test_windows_hold_only_the_named_splits():
    data = dataset([[0, 1], [2, 3], [4, 5]], ["train", "validation", "test"], ["t"] * 6)
    (batch,) = Windows(data, ("validation",), 5, CPU).in_order(10)
    assert batch.tokens.tolist() == [2] and batch.target.tolist() == [3] and batch.last_item.tolist() == [2]
