"""Normalisation by the root mean square."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class RmsNorm(nn.Module):
    """x / sqrt(mean(x²) + 1e-6), times a gain for each unit (Zhang & Sennrich 2019, eq. 4)."""

    def __init__(self, size: int) -> None:
        """Normalise vectors of ``size``."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, states: Tensor) -> Tensor:
        """Normalise states [..., size], in the type that they have."""
        return functional.rms_norm(states, self.weight.shape, self.weight.to(states.dtype), 1e-6)
