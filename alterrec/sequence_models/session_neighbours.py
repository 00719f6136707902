"""Session-based nearest neighbours: the training sessions that are most similar to a prefix.

Ludewig and Jannach, Evaluation of session-based recommendation algorithms, UMUAI 2018, and their program session-rec.
I prefixes, S training sessions, N items.
"""

import numpy as np
from scipy.sparse import csr_array

BLOCK = 64  # prefixes whose similarities are in memory at once


def last_positions(row: np.ndarray, item: np.ndarray, position: np.ndarray, items: int) -> csr_array:
    """[rows, N] the last position of every item in its row; items that the row lacks are not stored.

    The [E] entries of a row stand together, in the order of their positions, and no row is empty.
    """
    key = row.astype(np.int64) * items + item
    _, from_end = np.unique(key[::-1], return_index=True)
    last = len(key) - 1 - from_end
    shape = int(row[-1]) + 1, items
    return csr_array((position[last].astype(float), (row[last], item[last])), shape=shape)


def nearest_sessions(
    prefixes: csr_array, sessions: csr_array, k: int, sample_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The k most similar training sessions of every prefix, as [P] pairs: prefix, session, and their similarity.

    The similarity is the dot product of the items' weights in the prefix, `prefixes` [I, N], and in the session, `sessions`
    [N, S]. Of the sessions that share an item with the prefix, only the last `sample_size` are compared. Of equally similar
    sessions the later one is nearer.
    """
    nearest = []
    for start in range(0, prefixes.shape[0], BLOCK):
        similar = prefixes[start : start + BLOCK] @ sessions
        for row in range(similar.shape[0]):
            of_row = slice(*similar.indptr[row : row + 2])
            session, similarity = similar.indices[of_row], similar.data[of_row]
            if len(session) > sample_size:
                latest = np.argpartition(session, -sample_size)[-sample_size:]
                session, similarity = session[latest], similarity[latest]
            best = np.lexsort((-session, -similarity))[:k]
            nearest.append((np.full(len(best), start + row), session[best], similarity[best]))
    prefix, session, similarity = map(np.concatenate, zip(*nearest, strict=True))
    return prefix, session, similarity
