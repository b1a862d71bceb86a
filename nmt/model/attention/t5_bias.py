"""Learned biases of relative positions (Raffel et al. 2020). Legend: H heads, T queries, S keys."""

import math

import torch
from torch import Tensor, nn

from nmt.model.attention.relative import RelativePositions, RelativeScheme, key_distances

T5_BUCKETS, T5_DISTANCE = 32, 128
"""Number of buckets; distances of T5_DISTANCE or more share the last one (section 2.1)."""


class T5Bias(RelativeScheme):
    """A learned bias for each head and each bucket of distances; all layers share the table.

    Raffel et al. 2020, section 2.1: half of the buckets contain one distance each. The index of the
    others grows with the logarithm of the distance. An encoder uses half of its buckets for each
    direction. Here the scores are divided by sqrt(d_k). T5 has this factor in its initialization.
    """

    def __init__(self, num_heads: int, *, causal: bool) -> None:
        """Learn a table for a decoder (``causal``) or an encoder."""
        super().__init__()
        self.causal = causal
        self.bias_table = nn.Parameter(torch.zeros(T5_BUCKETS, num_heads))

    def forward(self, queries: Tensor, keys: Tensor) -> RelativePositions:
        """Return the bias [H, T, S]."""
        buckets = self._buckets(key_distances(queries, keys))
        return RelativePositions(bias=self.bias_table[buckets].permute(2, 0, 1))

    def _buckets(self, distances: Tensor) -> Tensor:
        """Return the bucket [T, S] of each distance, key minus query position."""
        if self.causal:
            return _log_buckets((-distances).clamp_min(0), T5_BUCKETS)
        half = T5_BUCKETS // 2
        return _log_buckets(distances.abs(), half) + half * (distances > 0)


def _log_buckets(distances: Tensor, count: int) -> Tensor:
    exact = count // 2
    ratio = distances.clamp_min(1).float() / exact
    wide = exact + (ratio.log() / math.log(T5_DISTANCE / exact) * (count - exact)).long()
    return torch.where(distances < exact, distances, wide.clamp_max(count - 1))
