"""Any sentence-transformers model, by its name on the Hugging Face hub or as a local folder.

Source: N. Reimers and I. Gurevych, Sentence-BERT, EMNLP 2019. Without a network, copy the model's folder to
models/<name> in the mirror's folder, or give the path of the folder as `model`. Every model has a licence of its own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from alterrec.encoders._encoding import EncoderConfig, encode_with_model
from alterrec.errors import UserError
from alterrec.files import file_checksum
from alterrec.readers.downloads import mirror_folder

if TYPE_CHECKING:
    import numpy as np

version = 2
neural = True
# Copies of the weights for other programs: not downloaded.
UNUSED = ["onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "*.onnx"]


class Config(EncoderConfig):
    model: str = Field(
        description="name of a model, such as sentence-transformers/all-mpnet-base-v2, or path of its folder"
    )
    revision: str | None = Field(
        None,
        description="commit of the model to download; null = the newest, or without a network the one downloaded before",
    )
    prefix: str = Field("", description="added in front of every text, such as 'query: ' for E5")


def fetch_files(config: Config) -> list[Path]:
    """The model's folder, downloaded if the cache lacks it."""
    return [_folder(config)]


def identity(config: Config) -> str:
    """A hash of the prefix and of the checksums of the model's files. UserError if there are none."""
    folder = _folder(config)
    files = sorted(
        p for p in folder.rglob("*") if p.suffix in (".safetensors", ".bin", ".json", ".txt", ".model")
    )
    if not files:
        raise UserError(
            f"encoder model {config.model}: {folder} holds no model: check the name or the folder"
        )
    checksums = [f"{path.relative_to(folder)} {file_checksum(path)}" for path in files]
    return hashlib.sha256("\n".join([config.prefix, *checksums]).encode()).hexdigest()


def encode(texts: list[str], config: Config, progress: bool) -> np.ndarray:
    """Unit vectors [n, w] float32, on a GPU if there is one. UserError if the model cannot be found or downloaded."""
    return encode_with_model(_folder(config), [config.prefix + text for text in texts], progress)


def _folder(config: Config) -> Path:
    """The model's folder: the path itself, the mirror's copy or a download."""
    if (folder := Path(config.model)).is_dir():
        return folder
    if (mirror := mirror_folder()) and (folder := mirror / "models" / config.model).is_dir():
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(config.model, revision=config.revision, ignore_patterns=UNUSED))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"encoder model {config.model!r} is no folder here and cannot be downloaded ({reason}): "
            f"put its folder as models/{config.model} into a folder that `mirror:` names, or give the path of its folder"
        ) from error
