"""Text vectors kept by the hash of the text, one file per encoder: a later dataset encodes only what is new.

SQLite, so that a killed encoding keeps every finished chunk and several processes may use one file. A vector may differ
in its last bits from what another order of texts would give (batches are padded differently); it never changes once kept.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np

CHUNK = 8192  # texts between two commits
BUSY_SECONDS = 600


def cached(path: Path, texts: list[str], encode: Callable[[list[str]], np.ndarray]) -> np.ndarray:
    """[n, w] float32: the vectors of distinct `texts`, those that the file `path` lacks made by `encode` and added."""
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = [hashlib.sha256(text.encode()).digest() for text in texts]
    with sqlite3.connect(path, timeout=BUSY_SECONDS) as file:
        file.execute("CREATE TABLE IF NOT EXISTS vectors (text BLOB PRIMARY KEY, vector BLOB)")
        vectors = _look_up(file, keys)
        missing = [row for row, vector in enumerate(vectors) if vector is None]
        for start in range(0, len(missing), CHUNK):
            rows = missing[start : start + CHUNK]
            found = np.ascontiguousarray(encode([texts[row] for row in rows]), dtype=np.float32)
            made = {row: vector.tobytes() for row, vector in zip(rows, found, strict=True)}
            for row, vector in made.items():
                vectors[row] = vector
            whole = np.isfinite(found).all(axis=1)
            pairs = [(keys[row], made[row]) for row, good in zip(rows, whole, strict=True) if good]
            file.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", pairs)
            file.commit()
    return np.stack([np.frombuffer(vector, np.float32) for vector in vectors])


def _look_up(file: sqlite3.Connection, keys: list[bytes]) -> list[bytes | None]:
    def one(key: bytes) -> bytes | None:
        row = file.execute("SELECT vector FROM vectors WHERE text = ?", (key,)).fetchone()
        return row and row[0]

    return [one(key) for key in keys]
