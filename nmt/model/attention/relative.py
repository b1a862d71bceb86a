"""Positions that act inside self-attention: biases, rotations, relative vectors.

Legend: B batch, H heads, T queries, S keys, K head size. Queries are the last T of S positions.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SHAW_DISTANCE = 16
"""Greatest distance told apart (Shaw et al. 2018, section 4.1: k = 16)."""

T5_BUCKETS, T5_DISTANCE = 32, 128
"""Buckets, and the distance by which the last one has begun (Raffel et al. 2020, section 2.1)."""

ROTARY_BASE = 10_000.0
"""Base of the angles' geometric series (Su et al. 2021, section 3.2.2)."""


@dataclass(frozen=True)
class RelativePositions:
    """What self-attention is told about where its queries and keys stand.

    Attributes:
        bias: Added to the scores, [H, T, S].
        rotation: Cosines and sines [T, K / 2] that turn the queries and the new keys.
        distances: [T, S], key minus query position, clipped and counted from 0.
    """

    bias: Tensor | None = None
    rotation: tuple[Tensor, Tensor] | None = None
    distances: Tensor | None = None


NO_POSITIONS = RelativePositions()


class RelativeScheme(nn.Module, ABC):
    """A way to tell positions to all self-attention layers of a stack alike."""

    @abstractmethod
    def forward(self, start: int, length: int, device: torch.device) -> RelativePositions:
        """Describe ``length`` new positions from ``start`` on, with the keys of all up to them."""


class NoRelativePositions(RelativeScheme):
    """Positions are told elsewhere, or not at all."""

    def forward(self, start: int, length: int, device: torch.device) -> RelativePositions:
        """Tell nothing."""
        return NO_POSITIONS


class Alibi(RelativeScheme):
    """Attention with linear biases (Press et al. 2022): -m_h · distance, m_h = 2^(-8h / H).

    The paper's model looks back only; in an encoder the distance counts alike to both sides.
    """

    slopes: Tensor

    def __init__(self, num_heads: int) -> None:
        """Give each head its slope."""
        super().__init__()
        powers = torch.arange(1, num_heads + 1) * (-8.0 / num_heads)
        self.register_buffer("slopes", torch.exp2(powers), persistent=False)

    def forward(self, start: int, length: int, device: torch.device) -> RelativePositions:
        """Return the bias [H, T, S]."""
        distances = _distances(start, length, device).abs()
        return RelativePositions(bias=-self.slopes[:, None, None] * distances)


class T5Bias(RelativeScheme):
    """A learned bias for each head and bucket of distances, one table for all layers.

    Raffel et al. 2020, section 2.1: half of the buckets hold one distance each, the rest widen
    logarithmically. An encoder's are split between the two directions. Scores stay divided by
    sqrt(K), which T5 folds into its initialisation.
    """

    def __init__(self, num_heads: int, *, causal: bool) -> None:
        """Learn a table for a decoder (``causal``) or an encoder."""
        super().__init__()
        self.causal = causal
        self.bias_table = nn.Parameter(torch.zeros(T5_BUCKETS, num_heads))

    def forward(self, start: int, length: int, device: torch.device) -> RelativePositions:
        """Return the bias [H, T, S]."""
        buckets = self._buckets(_distances(start, length, device))
        return RelativePositions(bias=self.bias_table[buckets].permute(2, 0, 1))

    def _buckets(self, distances: Tensor) -> Tensor:
        """Number the buckets of distances [T, S], key minus query position."""
        if self.causal:
            return _log_buckets((-distances).clamp_min(0), T5_BUCKETS)
        half = T5_BUCKETS // 2
        return _log_buckets(distances.abs(), half) + half * (distances > 0)


def _log_buckets(distances: Tensor, count: int) -> Tensor:
    exact = count // 2
    ratio = distances.clamp_min(1).float() / exact
    wide = exact + (ratio.log() / math.log(T5_DISTANCE / exact) * (count - exact)).long()
    return torch.where(distances < exact, distances, wide.clamp_max(count - 1))


class Rotary(RelativeScheme):
    """Rotary embedding (Su et al. 2021): queries and keys are turned by angles that grow.

    A product of two turned vectors depends on their distance alone. Units i and i + K / 2 are one
    plane, which differs from the paper's neighbours (eq. 15) by a permutation of units only.
    """

    rates: Tensor

    def __init__(self, head_size: int) -> None:
        """Turn heads of an even size."""
        super().__init__()
        steps = torch.arange(0, head_size, 2) / head_size
        self.register_buffer("rates", ROTARY_BASE**-steps, persistent=False)

    def forward(self, start: int, length: int, device: torch.device) -> RelativePositions:
        """Return cosines and sines of the new positions."""
        angles = torch.arange(start, start + length, device=device)[:, None] * self.rates
        return RelativePositions(rotation=(angles.cos(), angles.sin()))


def rotate(heads: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
    """Turn heads [B, H, T, K] by cosines and sines [T, K / 2] (Su et al. 2021, eq. 34)."""
    if rotation is None:
        return heads
    cosines, sines = rotation
    first, second = heads.chunk(2, dim=-1)
    turned = torch.cat([first * cosines - second * sines, first * sines + second * cosines], dim=-1)
    return turned.to(heads.dtype)


class ShawDistances(RelativeScheme):
    """Clipped distances, for attention that has `RelativeVectors` of its own in every layer."""

    def forward(self, start: int, length: int, device: torch.device) -> RelativePositions:
        """Return clip(key - query, -k, k) + k (Shaw et al. 2018, section 3.2), [T, S]."""
        distances = _distances(start, length, device).clamp(-SHAW_DISTANCE, SHAW_DISTANCE)
        return RelativePositions(distances=distances + SHAW_DISTANCE)


class RelativeVectors(nn.Module):
    """A vector for each clipped distance, added to keys and to values, shared by a layer's heads.

    Shaw et al. 2018, eq. 3 and 4: scores q · (k + a^K), values v + a^V. Sums over distances are
    taken before anything of size T · S · K is made (their section 3.3).
    """

    def __init__(self, head_size: int) -> None:
        """Learn 2k + 1 vectors of ``head_size`` = K for keys, and as many for values."""
        super().__init__()
        count = 2 * SHAW_DISTANCE + 1
        self.key_vectors = nn.Parameter(torch.empty(count, head_size))
        self.value_vectors = nn.Parameter(torch.empty(count, head_size))

    def scores(self, scaled: Tensor, distances: Tensor) -> Tensor:
        """Return q · a^K of scaled queries [B, H, T, K], [B, H, T, S]."""
        products = torch.matmul(scaled, self.key_vectors.T.to(scaled.dtype))  # [B, H, T, 2k + 1]
        return products.gather(-1, distances.expand(*products.shape[:3], -1))

    def values(self, weights: Tensor, distances: Tensor) -> Tensor:
        """Return the weighted sum of a^V by weights [B, H, T, S], [B, H, T, K]."""
        exact = weights.to(torch.promote_types(weights.dtype, torch.float32))  # many into one sum
        totals = exact.new_zeros(*weights.shape[:3], len(self.value_vectors))
        totals = totals.scatter_add(-1, distances.expand_as(weights), exact).to(weights.dtype)
        return torch.matmul(totals, self.value_vectors.to(weights.dtype))


def _distances(start: int, length: int, device: torch.device) -> Tensor:
    """Key minus query position, [T, S], of the last ``length`` = T of ``start + length`` = S."""
    keys = torch.arange(start + length, device=device)
    return keys[None, :] - keys[start:, None]
