"""Lists of item ids in Arrow: parse the printed form of a NumPy array, and remove consecutive repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ID = r"[^\s\v'\"\\\[\]]+"
PRINTED = rf"\A\['{ID}'(?:\s+'{ID}')*\]\z"


def is_printed(values: pa.StringArray) -> np.ndarray:
    """True [n] for values that str() prints for a NumPy array of one or more ids, such as ['B01' 'B02'\\n 'B03']."""
    import numpy as np
    import pyarrow.compute as pc

    return np.asarray(pc.match_substring_regex(values, PRINTED))


def is_id(values: pa.StringArray) -> np.ndarray:
    """True [n] for values that can be ids: not empty, and without white space, quotes, brackets and backslashes."""
    import numpy as np
    import pyarrow.compute as pc

    return np.asarray(pc.match_substring_regex(values, rf"\A{ID}\z"))


def parsed(values: pa.StringArray) -> tuple[np.ndarray, pa.StringArray]:
    """Offsets [n + 1] and ids of printed arrays. Further ids, separated by spaces, may follow each array."""
    import pyarrow.compute as pc

    lists = pc.ascii_split_whitespace(values)
    return lists.offsets.to_numpy(), pc.ascii_trim(lists.values, "[']")


def printed(lists: pa.ListArray) -> pa.StringArray:
    """Lists [n] of strings in the form in which NumPy prints an array, on one line."""
    import pyarrow as pa
    import pyarrow.compute as pc

    inner = pc.binary_join(lists.cast(pa.list_(pa.string())), "' '")
    return pc.binary_join_element_wise("['", inner, "']", "")


def fault(value: str) -> str:
    """What is wrong with a value that is not a printed array: one of four short texts."""
    if not value.strip("[]' \r\n"):
        return "no items"
    if not value.startswith("[") or value.find("]") != len(value) - 1 or value.rfind("["):
        return "unbalanced brackets"
    if " ..." in value:
        return "items replaced by '...', as NumPy prints arrays of more than 1000"
    return "not a printed array of ids"


def without_repeats(offsets: np.ndarray, ids: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """Offsets [n + 1] and ids of the lists. An id that equals the one before it in its list is removed."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kept = np.ones(len(ids), dtype=bool)
    kept[1:] = pc.not_equal(ids[1:], ids[:-1])
    kept[offsets[:-1][np.diff(offsets) > 0]] = True  # the first id of every list
    return np.concatenate([[0], np.cumsum(kept)])[offsets], ids.filter(pa.array(kept))


def large(offsets: np.ndarray, ids: pa.Array) -> pa.LargeListArray:
    """The lists as an Arrow array that can hold more than 2^31 bytes."""
    import pyarrow as pa

    return pa.LargeListArray.from_arrays(offsets, ids.cast(pa.large_string()))
