"""Attention by positive random features. Legend: B batch, T length, H heads, K head size."""

import math
from typing import Any

import torch
from torch import Tensor

from nmt.config.model import TransformerStackConfig
from nmt.kernels.precision import at_least_float32, without_autocast
from nmt.model.self_attention.linear_attention import FeatureAttention

SMALLEST_FEATURE = 1e-6
"""Added to each feature, as in the authors' code. Otherwise all features of a key could be 0."""

LARGEST_POWER = 70.0
"""Greatest logarithm of a feature of a key. It is at most |ω|² / 2, about d_k / 2. So this limit
matters only for heads of more than 100 units. exp(70) leaves room for sums over 10^5 positions."""


class FavorAttention(FeatureAttention):
    """Softmax attention estimated by φ(x) = exp(ω · x - |x|² / 2) / sqrt(m), x = q / d_k^(1/4).

    Choromanski et al. 2021, lemma 1 (FAVOR+): E[φ(q) · φ(k)] = exp(q · k / sqrt(d_k)) for
    ω from N(0, I). The ω are orthogonal in groups of d_k (section 2.4), which lowers the variance.
    The constructor draws them, and the checkpoint contains them. Cost: O(n · m · d).
    """

    directions: Tensor

    def __init__(self, *args: Any, features: int, **kwargs: Any) -> None:
        """Estimate with m = ``features``."""
        super().__init__(*args, **kwargs)
        size = self.query_projection.out_features // self.num_heads
        self.register_buffer("directions", torch.ones(features, size))
        self.draw()

    @classmethod
    def settings(cls, config: TransformerStackConfig) -> dict[str, Any]:
        """Return m."""
        return {"features": config.attention_features}

    @property
    def num_features(self) -> int:
        """m."""
        return len(self.directions)

    def draw(self) -> None:
        """Draw the rows ω, [m, K]: orthogonal directions with the lengths of normal vectors."""
        count, size = self.directions.shape
        square = torch.nn.init.orthogonal_
        groups = [square(self.directions.new_empty(size, size)) for _ in range(-(-count // size))]
        normal = torch.nn.init.normal_(torch.empty_like(self.directions))
        self.directions = torch.cat(groups)[:count] * normal.norm(dim=1, keepdim=True)

    def features(self, heads: Tensor, *, of_keys: bool) -> Tensor:
        """Return the features [..., m] in float32 or float64.

        A positive factor of a query's features cancels out in its weights. So a query has the
        factor 1 / max exp(ω · x) instead of exp(-|x|² / 2). A key needs exp(-|x|² / 2), and its
        features are limited to exp(`LARGEST_POWER`). So no exponential overflows.
        """
        with without_autocast(heads):
            scaled = at_least_float32(heads) * heads.size(-1) ** -0.25
            powers = scaled @ self.directions.type_as(scaled).T
        if of_keys:
            powers = powers - scaled.square().sum(-1, keepdim=True) / 2
            powers = powers.clamp_max(LARGEST_POWER)
        else:
            powers = powers - powers.amax(-1, keepdim=True).detach()
        return (powers.exp() + SMALLEST_FEATURE) / math.sqrt(self.num_features)
