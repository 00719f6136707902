"""TF-IDF and truncated SVD (latent semantic analysis), fitted on the dataset's own texts. It needs no model file.

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
    """Unit vectors [n, min(256, n, words)] float32. A text without words gets a zero vector.

    UserError if no text has a word.
    """
    import numpy as np
    from scipy.sparse.linalg import norm
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    try:
        matrix = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True).fit_transform(texts)
    except ValueError:
        raise UserError(
            f"encoder tfidf_svd: none of the {len(texts)} texts has a word: choose other text columns"
        ) from None
    with threadpool_limits(1):  # the number of threads decides the order of additions and so the last bits
        left, singular_values, _ = randomized_svd(matrix, min(DIMENSION, *matrix.shape), random_state=SEED)
    vectors = left * singular_values
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    # If all words of a text lie outside the kept dimensions, its vector is rounding error and has no direction.
    nonzero = (norm(matrix, axis=1)[:, None] > 0) & (norms > 1e-6)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=nonzero).astype(np.float32)
