"""Any sentence-transformers model: a name on the Hugging Face hub, or a local folder.

Source: N. Reimers and I. Gurevych, Sentence-BERT, EMNLP 2019. Without network, put the model's folder into the mirror,
as models/<name>, or name the folder itself.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from alterrec.encoders._encoding import EncoderConfig, run_model
from alterrec.errors import UserError
from alterrec.files import file_checksum
from alterrec.readers.downloads import MIRROR

if TYPE_CHECKING:
    import numpy as np

version = 1
UNUSED = [
    "onnx/*",
    "openvino/*",
    "*.h5",
    "*.msgpack",
    "*.ot",
    "*.onnx",
]  # other programs' copies of the weights


class Config(EncoderConfig):
    """`fields` as everywhere; the licence of the model is its own."""

    model: str = Field(description="a name such as sentence-transformers/all-mpnet-base-v2, or a folder")
    revision: str | None = Field(
        None, description="commit of the model; null = the newest, or the one at hand"
    )
    prefix: str = Field("", description="put before every text, such as E5's 'query: '")


def identity(config: Config) -> str:
    """The prefix, and the checksums of the model's files."""
    folder = _folder(config)
    files = sorted(
        p for p in folder.rglob("*") if p.suffix in (".safetensors", ".bin", ".json", ".txt", ".model")
    )
    if not files:
        raise UserError(f"encoder model {config.model}: {folder} holds no model")
    sums = [f"{path.relative_to(folder)} {file_checksum(path)}" for path in files]
    return hashlib.sha256("\n".join([config.prefix, *sums]).encode()).hexdigest()


def encode(texts: list[str], config: Config, progress: bool) -> np.ndarray:
    """Unit vectors [n, w] float32, on a GPU if there is one. UserError where the model cannot be had."""
    return run_model(_folder(config), [config.prefix + text for text in texts], progress)


def _folder(config: Config) -> Path:
    mirrored = Path(os.environ.get(MIRROR) or ".", "models", config.model)
    for folder in (Path(config.model), mirrored):
        if folder.is_dir():
            return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(config.model, revision=config.revision, ignore_patterns=UNUSED))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"encoder model {config.model!r} is no folder here and cannot be downloaded ({reason}): "
            f"put its folder into the mirror as models/{config.model}, or name a folder"
        ) from error
