"""Lists of ids as NumPy prints them are read back exactly, and repeats are removed within a list only."""

from itertools import groupby

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from alterrec.readers import id_lists

IDS = st.text(st.characters(categories=["L", "N"], include_characters="-_.:/,#"), min_size=1, max_size=12)


@given(st.lists(st.lists(IDS, min_size=1, max_size=60), min_size=1, max_size=5), st.integers(0, 1))
def test_parsing_a_printed_array_gives_its_ids(rows, how):
    print_array = (np.array2string, str)[how]
    values = pa.array([print_array(np.array(row)) for row in rows])
    assert id_lists.is_printed(values).all()
    offsets, ids = id_lists.parsed(values)
    assert [ids[a:b].to_pylist() for a, b in zip(offsets, offsets[1:], strict=False)] == rows
    again = id_lists.printed(pa.array(rows))
    assert id_lists.parsed(again)[1].to_pylist() == ids.to_pylist()


PARTS = ["['", "'B1'", "' 'B", "'\n 'B", "B", "']", "[", "]", "'", " ", "...", "\\", '"']


@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
def test_values_that_are_not_printed_arrays_have_a_fault(value):
    if id_lists.is_printed(pa.array([value]))[0]:
        assert str(np.array(value[2:-2].replace("'", " ").split())).split() == value.split()
    else:
        assert id_lists.fault(value)


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=6))
def test_repeats_are_removed_within_a_list_only(rows):
    offsets = np.cumsum([0, *map(len, rows)])
    ids = pa.array([value for row in rows for value in row], pa.string())
    offsets, ids = id_lists.without_repeats(offsets, ids)
    kept = [ids[a:b].to_pylist() for a, b in zip(offsets, offsets[1:], strict=False)]
    assert kept == [[value for value, _ in groupby(row)] for row in rows]
