"""Texts -> one frozen sentence embedding per distinct text, computed once per (dataset, encoder)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alterrec import registry
from alterrec.errors import UserError
from alterrec.files import atomic
from alterrec.sources.base import FIELD

if TYPE_CHECKING:
    from alterrec.sessions import Dataset


def encode_dataset(dataset: Dataset, encoder_name: str, out: str | Path) -> None:
    """Encode each distinct text once and write the safetensors file `out`.

    It holds `vectors` float32 [M, w], one row per distinct text, by the texts' sorted order, and
    `text_of_item` int64 [N]. The same texts give the same bytes on CPU. UserError for an unknown encoder and
    for vectors that are not finite.
    """
    from safetensors.numpy import save

    encoder = registry.encoder(encoder_name)
    texts, text_of_item = np.unique(dataset.text, return_inverse=True)
    texts = np.array([text.replace(FIELD, ", ") for text in texts], dtype=object)
    vectors = np.ascontiguousarray(
        encoder.encode(texts.tolist(), progress=sys.stderr.isatty()), dtype=np.float32
    )
    _check(vectors, text_of_item, f"encoder {encoder_name}", len(texts))
    with atomic(out) as temporary:
        tensors = {"vectors": vectors, "text_of_item": text_of_item.astype(np.int64)}
        temporary.write_bytes(
            save(tensors, metadata={"encoder": f"{encoder_name} version {encoder.version}"})
        )


def load_text(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """(vectors float32 [M, w], text_of_item int64 [N]). UserError for a missing or broken file or NaN."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not Path(path).is_file():
        raise UserError(f"{path} is missing: encode the dataset's texts first (python -m alterrec encode)")
    try:
        tensors = load_file(path)
        vectors, text_of_item = tensors["vectors"], tensors["text_of_item"]
    except (SafetensorError, KeyError) as error:
        raise UserError(
            f"{path} is not a file of text vectors ({error}): delete it and encode again"
        ) from error
    _check(vectors, text_of_item, str(path), len(vectors))
    return vectors, text_of_item


def _check(vectors: np.ndarray, text_of_item: np.ndarray, where: str, texts: int) -> None:
    if vectors.ndim != 2 or len(vectors) != texts or not vectors.shape[1]:
        raise UserError(f"{where}: {texts} texts have vectors of shape {vectors.shape}")
    wrong = ~np.isfinite(vectors).all(axis=1)
    if wrong.any():
        raise UserError(
            f"{where}: {wrong.sum()} of {texts} vectors are not finite, the first is row {wrong.argmax()}"
        )
    if len(text_of_item) and not 0 <= text_of_item.min() <= text_of_item.max() < texts:
        raise UserError(f"{where}: text_of_item names a vector that is not there")
