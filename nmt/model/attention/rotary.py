"""Rotary position embedding (Su et al. 2021). Legend: B batch, H heads, T queries, K head size."""

import torch
from torch import Tensor

from nmt.model.attention.relative import RelativePositions, RelativeScheme

ROTARY_BASE = 10_000.0
"""Base of the geometric series of angles (section 3.2.2)."""


class Rotary(RelativeScheme):
    """Rotates queries and keys by angles proportional to their positions.

    If both positions shift by the same number, the product of a rotated query and a rotated key
    does not change. A rotation acts on units i and i + K / 2. In the paper (eq. 15), it acts on
    neighboring units; a permutation of units gives the same products.
    """

    rates: Tensor

    def __init__(self, head_size: int) -> None:
        """Compute the angle per position of each pair of units; ``head_size`` is even."""
        super().__init__()
        steps = torch.arange(0, head_size, 2) / head_size
        self.register_buffer("rates", ROTARY_BASE**-steps, persistent=False)

    def forward(self, queries: Tensor, keys: Tensor) -> RelativePositions:
        """Return cosines and sines of the queries' positions, each [T, K / 2]."""
        return self.at(queries[None])

    def at(self, positions: Tensor) -> RelativePositions:
        """Return cosines and sines of these positions [1, T], each [T, K / 2]."""
        angles = positions[0, :, None] * self.rates
        return RelativePositions(rotation=(angles.cos(), angles.sin()))


def rotate(heads: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
    """Rotate heads [B, H, T, K] by cosines and sines [T, K / 2] (Su et al. 2021, eq. 34)."""
    if rotation is None:
        return heads
    cosines, sines = rotation
    x, y = heads.chunk(2, dim=-1)
    rotated = torch.cat([x * cosines - y * sines, x * sines + y * cosines], dim=-1)
    return rotated.type_as(heads)
