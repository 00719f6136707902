"""Turns the texts of a dataset into frozen vectors, one per distinct text, once per (dataset, encoder)."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from alterrec import registry
from alterrec.data.dataset import Dataset
from alterrec.data.vector_cache import cached_vectors
from alterrec.errors import UserError
from alterrec.files import atomic, cache_folder, clear_partial
from alterrec.sources._raw import FIELD_SEPARATOR


def encode_dataset(data: str | Path, spec: dict, out: str | Path) -> None:
    """Encode each distinct text of the dataset in the folder `data` and write the safetensors file `out`.

    `spec` comes from `Study.encoder_spec` and has the keys name, base (a file of alterrec/encoders/), version and
    config. The file holds `vectors` float32 [M, w], one row per distinct text, `text_of_item` int64 [N], each item's
    row in `vectors`, and `checksum`, which `load_text_vectors` compares. On a CPU, the same texts give the same bytes in
    portable mode, or with an empty cache.
    UserError for an unknown encoder, a dataset without texts and vectors that are not finite.
    """
    from safetensors.numpy import save

    encoder = registry.encoder(spec["base"])
    if hasattr(encoder, "item_vectors"):
        vectors, text_of_item = np.unique(encoder.item_vectors(Path(data)), axis=0, return_inverse=True)
        count = len(vectors)
    else:
        texts, text_of_item = np.unique(Dataset.load(data).text, return_inverse=True)
        if not any(texts):
            raise UserError(
                f"encoder {spec['name']}: no item of {data} has a text; `encoder: precomputed` uses the vectors "
                "of a source that has them"
            )
        vectors, count = encode_texts(encoder, spec, texts.tolist()), len(texts)
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    _require_valid_vectors(vectors, text_of_item, f"encoder {spec['name']}", count)
    clear_partial(Path(out).parent, Path(out).stem)
    with atomic(out) as temporary:
        tensors = {"vectors": vectors, "text_of_item": text_of_item.astype(np.int64)}
        tensors["checksum"] = _checksum(**tensors)
        temporary.write_bytes(save(tensors, metadata={"encoder": encoder_text(spec)}))


def encoder_text(spec: dict) -> str:
    """What a file of vectors says of its encoder."""
    return json.dumps({key: spec[key] for key in ("base", "version", "config")}, sort_keys=True)


def is_encoded(path: Path, spec: dict) -> bool:
    """Whether the file of vectors is there, is not damaged, and was made by the encoder of `spec`."""
    from safetensors import safe_open

    try:
        load_text_vectors(path)
    except UserError:
        return False
    with safe_open(path, "numpy") as file:
        return (file.metadata() or {}).get("encoder") == encoder_text(spec)


def encode_texts(encoder: ModuleType, spec: dict, texts: list[str]) -> np.ndarray:
    """[M, w] float32, one vector per text. `fields` of the config says what becomes of a text's fields.

    joined: one text, the fields separated by commas. mean: every field is encoded and the vectors are averaged.
    """
    config = encoder.Config(**spec["config"])
    if config.fields == "joined":
        return _encode_with_cache(encoder, spec, [text.replace(FIELD_SEPARATOR, ", ") for text in texts])
    fields = [text.split(FIELD_SEPARATOR) for text in texts]
    distinct, row = np.unique([field for own in fields for field in own], return_inverse=True)
    vectors = _encode_with_cache(encoder, spec, distinct.tolist())[row]
    ends = np.cumsum([len(own) for own in fields])
    return np.stack([own.mean(axis=0) for own in np.split(vectors, ends[:-1])])


def _encode_with_cache(encoder: ModuleType, spec: dict, texts: list[str]) -> np.ndarray:
    """[n, w] float32. The cache serves encoders with an `identity`; its file is named for all that decides a vector.

    The last bits of a vector depend on the texts that are encoded with it. In portable mode, which promises the same bits
    everywhere, the file therefore serves one list of texts alone.
    """
    config, progress = encoder.Config(**spec["config"]), sys.stderr.isatty()
    if not hasattr(encoder, "identity"):
        return encoder.encode(texts, config, progress)
    distinct, row = np.unique(texts, return_inverse=True)
    key = [spec["base"], spec["version"], spec["config"], encoder.identity(config)]
    if spec.get("portable"):
        key += ["portable", distinct.tolist()]
    key = json.dumps(key, sort_keys=True)
    name = f"{spec['base']}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.sqlite"
    path = cache_folder() / "vectors" / name
    return cached_vectors(path, distinct.tolist(), lambda new: encoder.encode(new, config, progress))[row]


def load_text_vectors(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """(vectors float32 [M, w], text_of_item int64 [N]). UserError for a missing, broken or damaged file and for NaN.

    An older file states no checksum.
    """
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
    if "checksum" in tensors and not np.array_equal(tensors["checksum"], _checksum(vectors, text_of_item)):
        raise UserError(
            f"{path} is damaged, since its vectors do not have the checksum that it states: delete it and encode again"
        )
    _require_valid_vectors(vectors, text_of_item, str(path), len(vectors))
    return vectors, text_of_item


def _checksum(vectors: np.ndarray, text_of_item: np.ndarray) -> np.ndarray:
    """[32] uint8, the SHA-256 of both arrays."""
    digest = hashlib.sha256(vectors)
    digest.update(text_of_item)
    return np.frombuffer(digest.digest(), np.uint8)


def _require_valid_vectors(vectors: np.ndarray, text_of_item: np.ndarray, where: str, texts: int) -> None:
    if vectors.ndim != 2 or len(vectors) != texts or not vectors.shape[1]:
        raise UserError(f"{where}: {texts} texts have vectors of shape {vectors.shape}")
    invalid = ~np.isfinite(vectors).all(axis=1)
    if invalid.any():
        raise UserError(
            f"{where}: {invalid.sum()} of {texts} vectors are not finite, the first is row {invalid.argmax()}"
        )
    if len(text_of_item) and not 0 <= text_of_item.min() <= text_of_item.max() < texts:
        raise UserError(f"{where}: text_of_item names a row that `vectors` does not have")
