"""A cache of text vectors, one file per encoder, so that a later dataset encodes only texts that are new.

The key is the hash of the text. The file is an SQLite database: an interrupted encoding keeps every finished chunk,
and several processes may use one file. A stored vector never changes. If the texts came in another order, its last bits
might differ, because batches would be padded differently.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np

CHUNK = 8192  # texts between two commits
TIMEOUT_SECONDS = 600  # to wait while another process writes


def cached_vectors(path: Path, texts: list[str], encode: Callable[[list[str]], np.ndarray]) -> np.ndarray:
    """[n, w] float32, the vectors of distinct `texts`. Texts that the file `path` lacks are encoded and stored.

    A vector that is not finite is returned but not stored.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = [hashlib.sha256(text.encode()).digest() for text in texts]
    with sqlite3.connect(path, timeout=TIMEOUT_SECONDS) as database:
        database.execute("CREATE TABLE IF NOT EXISTS vectors (text BLOB PRIMARY KEY, vector BLOB)")
        vectors = [_stored_vector(database, key) for key in keys]
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
            database.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", to_store)
            database.commit()
    return np.stack([np.frombuffer(vector, np.float32) for vector in vectors])


def _stored_vector(database: sqlite3.Connection, key: bytes) -> bytes | None:
    row = database.execute("SELECT vector FROM vectors WHERE text = ?", (key,)).fetchone()
    return row and row[0]
