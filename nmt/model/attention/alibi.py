"""Attention with linear biases (Press et al. 2022). Legend: H heads, T queries, S keys."""

import torch
from torch import Tensor

from nmt.model.attention.relative import RelativePositions, RelativeScheme, key_distances


class Alibi(RelativeScheme):
    """Adds the bias -m_h · distance to the scores of head h, with slopes m_h = 2^(-8h / H).

    The paper's model is a decoder. In an encoder, the distance is |key - query|, so the bias is the
    same in both directions.
    """

    slopes: Tensor

    def __init__(self, num_heads: int) -> None:
        """Compute the slope of each head."""
        super().__init__()
        powers = torch.arange(1, num_heads + 1) * (-8.0 / num_heads)
        self.register_buffer("slopes", torch.exp2(powers), persistent=False)

    def forward(self, queries: Tensor, keys: Tensor) -> RelativePositions:
        """Return the bias [H, T, S]."""
        distances = key_distances(queries, keys).abs()
        return RelativePositions(bias=-self.slopes[:, None, None] * distances)
