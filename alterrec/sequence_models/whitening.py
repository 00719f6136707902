"""Fixed linear maps of text vectors that their covariance over the catalogue gives: whitening, and leading coordinates.

M texts [M, w], N items; every item counts once, whether or not it shares its text.
"""

import torch
from torch.nn import functional as F

from alterrec.errors import UserError

LEAST_VARIANCE = 1e-8
BLOCK = 2**14
"""Texts that are in memory in float64 at once."""


def covariance_axes(
    text: torch.Tensor, text_of_item: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The mean text [w], and the eigenvectors [w, w] of the covariance as columns with the eigenvalues [w], in float64.

    The largest eigenvalue comes first. UserError if a text vector is not finite.
    """
    if not text.isfinite().all():
        raise UserError(
            "text vectors hold NaN or infinite numbers: check the encoder, or encode the texts again"
        )
    items = torch.bincount(text_of_item, minlength=len(text)).double().split(BLOCK)
    blocks = list(zip(items, text.split(BLOCK), strict=True))
    mean = sum(own @ texts.double() for own, texts in blocks) / len(text_of_item)
    covariance = torch.zeros(len(mean), len(mean), dtype=mean.dtype, device=mean.device)
    for own, texts in blocks:
        centred = texts.double() - mean
        covariance += centred.T @ (own[:, None] * centred)
    variance, axes = torch.linalg.eigh(covariance / len(text_of_item))
    return mean, axes.flip(1), variance.flip(0).clamp(min=0)


def mapped(text: torch.Tensor, mean: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    """[M, k] the texts after the `mean` was subtracted, times `axes` [w, k] in float64, in the type of the texts."""
    return torch.cat([((block.double() - mean) @ axes).to(text.dtype) for block in text.split(BLOCK)])


def whitened(text: torch.Tensor, text_of_item: torch.Tensor) -> torch.Tensor:
    """[M, w] the texts under ZCA whitening: their covariance over the catalogue is the identity, where they have rank w."""
    mean, axes, variance = covariance_axes(text, text_of_item)
    return mapped(text, mean, axes * (variance + LEAST_VARIANCE).rsqrt() @ axes.T)


def leading_coordinates(
    text: torch.Tensor, text_of_item: torch.Tensor, dimension: int, standardised: bool
) -> torch.Tensor:
    """[M, dimension] coordinates along the axes of largest variance, with unit variance if `standardised`; then zeros."""
    mean, axes, variance = covariance_axes(text, text_of_item)
    scale = (variance + LEAST_VARIANCE).rsqrt() if standardised else torch.ones_like(variance)
    found = mapped(text, mean, (axes * scale)[:, :dimension])
    return F.pad(found, (0, dimension - found.shape[1]))
