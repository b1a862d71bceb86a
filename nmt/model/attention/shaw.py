"""Relative position vectors (Shaw et al. 2018).

Legend: B batch, H heads, T queries, S keys, K head size (d_k), D model size, k greatest distance.
"""

from typing import Any

import torch
from torch import Tensor, nn

from nmt.kernels.attention.scaled_dot_product import grouped_product, join_heads
from nmt.kernels.precision import at_least_float32
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.relative import (
    NO_POSITIONS,
    RelativePositions,
    RelativeScheme,
    key_distances,
)

SHAW_DISTANCE = 16
"""k: all greater distances share the vector of k (section 4.1: k = 16)."""


class ShawDistances(RelativeScheme):
    """Clipped distances, for `ShawAttention` in every layer."""

    def forward(self, queries: Tensor, keys: Tensor) -> RelativePositions:
        """Return clip(key - query, -k, k) + k (section 3.2), [T, S]."""
        distances = key_distances(queries, keys).clamp(-SHAW_DISTANCE, SHAW_DISTANCE)
        return RelativePositions(distances=distances + SHAW_DISTANCE)


class RelativeVectors(nn.Module):
    """Vectors a^K for keys and a^V for values, one of each per clipped distance.

    The heads of a layer share the vectors. The products are computed once per distance, so no
    tensor of size T · S · K is needed (section 3.3).
    """

    def __init__(self, head_size: int) -> None:
        """Learn 2k + 1 vectors of ``head_size`` = K for keys, and 2k + 1 for values."""
        super().__init__()
        count = 2 * SHAW_DISTANCE + 1
        self.key_vectors = nn.Parameter(torch.empty(count, head_size))
        self.value_vectors = nn.Parameter(torch.empty(count, head_size))

    def scores(self, scaled: Tensor, distances: Tensor) -> Tensor:
        """Return q · a^K, [B, H, T, S], for scaled queries q [B, H, T, K]."""
        products = torch.matmul(scaled, self.key_vectors.T.type_as(scaled))  # [B, H, T, 2k + 1]
        return products.gather(-1, distances.expand(*products.shape[:3], -1))

    def values(self, weights: Tensor, distances: Tensor) -> Tensor:
        """Return the sums [B, H, T, K] of a^V weighted by [B, H, T, S]."""
        exact = at_least_float32(weights)  # a sum has many terms
        totals = exact.new_zeros(*weights.shape[:3], len(self.value_vectors))
        totals = totals.scatter_add(-1, distances.expand_as(weights), exact).type_as(weights)
        return torch.matmul(totals, self.value_vectors.type_as(weights))


class ShawAttention(MultiHeadAttention):
    """Self-attention with scores q · (k + a^K) / sqrt(d_k) and values v + a^V (eq. 3 and 4)."""

    can_fuse = False  # a value depends on the distance to the query

    def __init__(self, size: int, memory_size: int, num_heads: int, *args: Any, **kwargs: Any):
        """Build a `MultiHeadAttention`, and add the vectors of the distances."""
        super().__init__(size, memory_size, num_heads, *args, **kwargs)
        self.relative = RelativeVectors(size // num_heads)

    def scores(
        self, heads: Tensor, keys: Tensor, positions: RelativePositions = NO_POSITIONS
    ) -> Tensor:
        """Return the scores [B, H, T, S] of queries [B, H, T, K] and keys [B, G, S, K]."""
        assert positions.distances is not None
        scaled = heads * heads.size(-1) ** -0.5
        products = grouped_product(scaled, keys.transpose(-1, -2))
        return products + self.relative.scores(scaled, positions.distances)

    def context(
        self, weights: Tensor, values: Tensor, positions: RelativePositions = NO_POSITIONS
    ) -> Tensor:
        """Average values [B, G, S, K] by weights [B, H, T, S], join the heads -> [B, T, D]."""
        assert positions.distances is not None
        weights = weights.type_as(values)
        averages = grouped_product(weights, values)
        averages = averages + self.relative.values(weights, positions.distances)
        return join_heads(averages)
