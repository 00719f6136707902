"""Fixed linear maps of text vectors that their covariance over the catalogue gives: whitening, and leading coordinates.

M texts [M, w], N items; every item counts once, whether or not it shares its text.
"""

import torch
from torch.nn import functional as F

from alterrec.errors import UserError

LEAST_VARIANCE = 1e-8


def covariance_axes(
    text: torch.Tensor, text_of_item: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Centred texts [M, w], and the eigenvectors [w, w] of their covariance as columns with the eigenvalues [w], in float64.

    The largest eigenvalue comes first. UserError if a text vector is not finite.
    """
    if not text.isfinite().all():
        raise UserError(
            "text vectors hold NaN or infinite numbers: check the encoder, or encode the texts again"
        )
    items = torch.bincount(text_of_item, minlength=len(text))
    mean = items.double() @ text.double() / len(text_of_item)
    centred = text.double() - mean
    variance, axes = torch.linalg.eigh(centred.T @ (items[:, None] * centred) / len(text_of_item))
    return centred, axes.flip(1), variance.flip(0).clamp(min=0)


def whitened(text: torch.Tensor, text_of_item: torch.Tensor) -> torch.Tensor:
    """[M, w] the texts under ZCA whitening: their covariance over the catalogue is the identity, where they have rank w."""
    centred, axes, variance = covariance_axes(text, text_of_item)
    return (centred @ (axes * (variance + LEAST_VARIANCE).rsqrt()) @ axes.T).to(text.dtype)


def leading_coordinates(
    text: torch.Tensor, text_of_item: torch.Tensor, dimension: int, standardised: bool
) -> torch.Tensor:
    """[M, dimension] coordinates along the axes of largest variance, with unit variance if `standardised`; then zeros."""
    centred, axes, variance = covariance_axes(text, text_of_item)
    scale = (variance + LEAST_VARIANCE).rsqrt() if standardised else torch.ones_like(variance)
    found = (centred @ (axes * scale)[:, :dimension]).to(text.dtype)
    return F.pad(found, (0, dimension - found.shape[1]))
