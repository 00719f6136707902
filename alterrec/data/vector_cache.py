"""A cache of text vectors, one file per encoder, so that a later dataset encodes only texts that are new.

The key is the hash of the text. The file is an SQLite database: an interrupted encoding keeps every finished chunk,
and several processes may use one file. A stored vector never changes. If the texts came in another order, its last bits
might differ, because batches would be padded differently; so if one is found to be damaged, all are encoded again.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from alterrec.errors import UserError
from alterrec.files import writable

logger = logging.getLogger(__name__)
CHUNK = 8192  # texts between two commits
TIMEOUT_SECONDS = 600  # to wait while another process writes


def cached_vectors(path: Path, texts: list[str], encode: Callable[[list[str]], np.ndarray]) -> np.ndarray:
    """[n, w] float32, the vectors of distinct `texts`. Texts that the file `path` lacks are encoded and stored.

    A vector that is not finite is returned but not stored. UserError if the file is damaged or cannot be written.
    """
    keys = [hashlib.sha256(text.encode()).digest() for text in texts]
    with _opened(path) as database:
        vectors = _stored_vectors(database, keys)
        missing = [row for row, vector in enumerate(vectors) if vector is None]
        for start in range(0, len(missing), CHUNK):
            rows = missing[start : start + CHUNK]
            encoded = np.ascontiguousarray(encode([texts[row] for row in rows]), dtype=np.float32)
            finite = np.isfinite(encoded).all(axis=1)
            to_store = []
            for row, vector, valid in zip(rows, encoded, finite, strict=True):
                vectors[row] = vector.tobytes()
                if valid:
                    to_store.append((keys[row], vectors[row]))
            checksums = [(key, _checksum(vector)) for key, vector in to_store]
            database.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", to_store)
            database.executemany("INSERT OR IGNORE INTO checksums VALUES (?, ?)", checksums)
            database.commit()
    return np.stack([np.frombuffer(vector, np.float32) for vector in vectors])


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database of the file `path`. A vector of an older version has no checksum."""
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(path, timeout=TIMEOUT_SECONDS)) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS vectors (text BLOB PRIMARY KEY, vector BLOB)")
            database.execute("CREATE TABLE IF NOT EXISTS checksums (text BLOB PRIMARY KEY, checksum BLOB)")
            yield database
    except sqlite3.DatabaseError as error:
        raise UserError(
            f"the cache of text vectors {path} cannot be used ({error}): make room or permit writing there; if the file "
            "is damaged, delete it, and its texts are encoded again"
        ) from error


def _stored_vectors(database: sqlite3.Connection, keys: list[bytes]) -> list[bytes | None]:
    """The vector of each text; None if it is not stored. If one of them is damaged, all vectors of the file are deleted."""
    query = "SELECT vector, checksum FROM vectors LEFT JOIN checksums USING (text) WHERE text = ?"
    found = [database.execute(query, (key,)).fetchone() or (None, None) for key in keys]
    if all(checksum in (None, vector and _checksum(vector)) for vector, checksum in found):
        return [vector for vector, _ in found]
    logger.warning("a stored text vector is damaged: all texts are encoded again")
    for table in ("vectors", "checksums"):
        database.execute(f"DELETE FROM {table}")
    return [None] * len(keys)


def _checksum(vector: bytes) -> bytes:
    return hashlib.sha256(vector).digest()
