"""TF-IDF and truncated SVD (latent semantic analysis), fitted on the dataset's own texts: no model file.

Source: S. Deerwester et al., Indexing by latent semantic analysis, JASIS 1990; scikit-learn's implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alterrec.encoders._encoding import EncoderConfig
from alterrec.errors import UserError

if TYPE_CHECKING:
    import numpy as np

Config = EncoderConfig
version = 1

DIMENSION = 256
SEED = 0


def encode(texts: list[str], config: Config, progress: bool) -> np.ndarray:
    """Unit vectors [n, min(256, n, words)] float32, zero for a text without words. UserError if all are."""
    import numpy as np
    from scipy.sparse.linalg import norm
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    try:
        matrix = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True).fit_transform(texts)
    except ValueError:
        raise UserError(f"encoder tfidf_svd: none of the {len(texts)} texts has a word") from None
    with threadpool_limits(1):  # the order of additions, so the last bits, depends on the number of threads
        left, scale, _ = randomized_svd(matrix, min(DIMENSION, *matrix.shape), random_state=SEED)
    vectors = left * scale
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    # A text whose words all lie outside the kept dimensions has rounding errors for a vector, no direction.
    known = (norm(matrix, axis=1)[:, None] > 0) & (length > 1e-6)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=known).astype(np.float32)
