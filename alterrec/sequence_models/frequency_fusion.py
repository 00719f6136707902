"""The fusion of TedRec (Xu et al., CIKM 2024): products of spectra along the prefix, which are circular convolutions."""

import torch
from torch import nn


class FrequencyFusion(nn.Module):
    """ID and text vectors of a prefix -> one vector for each position.

    The IDs are convolved with a learned filter and with the texts; each of the two results has a gate of its own.
    """

    def __init__(self, length: int, dimension: int):
        super().__init__()
        self.length = length
        self.filter = nn.Parameter(torch.empty(length // 2 + 1, dimension, 2))  # real and imaginary parts
        self.filter_gate, self.text_gate = nn.Linear(dimension, 1), nn.Linear(dimension, 1)

    def forward(self, ids: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """[i, T, d] from ID and text vectors [i, T, d], with zeros behind each prefix."""
        spectrum = self.spectrum(ids)
        filtered = self.signal(spectrum * torch.view_as_complex(self.filter), ids.shape[1])
        mixed = self.signal(spectrum * self.spectrum(texts), ids.shape[1])
        return 2 * (gated(filtered, self.filter_gate) + gated(mixed, self.text_gate))

    def spectrum(self, signal: torch.Tensor) -> torch.Tensor:
        """[i, length // 2 + 1, d]; the signal is filled up to `length`, whatever rows share its batch."""
        return torch.fft.rfft(signal.to(self.filter.dtype), n=self.length, dim=1, norm="ortho")

    def signal(self, spectrum: torch.Tensor, width: int) -> torch.Tensor:
        """[i, width, d] the first positions."""
        return torch.fft.irfft(spectrum, n=self.length, dim=1, norm="ortho")[:, :width]


def gated(x: torch.Tensor, gate: nn.Linear) -> torch.Tensor:
    return x * torch.sigmoid(gate(x))
