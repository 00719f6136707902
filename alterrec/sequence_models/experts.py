"""The mixture-of-experts adaptor of UniSRec (Hou et al., KDD 2022), which TedRec has too."""

import torch
from torch import nn
from torch.nn import functional as F

LEAST_NOISE = 0.01


class ParametricWhitening(nn.Module):
    """A linear map of a shifted vector: W (dropout(x) - b). Shift and map are learned."""

    def __init__(self, width: int, dimension: int, dropout: float):
        super().__init__()
        self.shift = nn.Parameter(torch.empty(width))
        self.map = nn.Linear(width, dimension, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.map(self.dropout(x) - self.shift)


class MixtureOfExperts(nn.Module):
    """[..., w] -> [..., d]: the sum of several whitenings, weighted by gates that depend on the vector."""

    def __init__(self, width: int, dimension: int, experts: int, dropout: float):
        super().__init__()
        self.experts = nn.ModuleList(ParametricWhitening(width, dimension, dropout) for _ in range(experts))
        self.gate, self.noise = (nn.Linear(width, experts, bias=False) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gates = self.gates(x).unbind(-1)
        return sum(gate[..., None] * expert(x) for gate, expert in zip(gates, self.experts, strict=True))

    def gates(self, x: torch.Tensor) -> torch.Tensor:
        """[..., experts] weights that sum to 1; in training their logits have Gaussian noise of a learned size."""
        logits = self.gate(x)
        if self.training:
            logits = logits + torch.randn_like(logits) * (F.softplus(self.noise(x)) + LEAST_NOISE)
        return logits.softmax(-1)
