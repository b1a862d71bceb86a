"""Cosine scores. Legend: B batch, T length, H heads, K head size."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.config.model import TransformerStackConfig
from nmt.kernels.attention.attention_mask import Mask
from nmt.kernels.precision import at_least_float32
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.relative import NO_POSITIONS, RelativePositions
from nmt.model.attention.stack_attention import stack_attention

FIRST_SCALE = 10.0
"""g of a new model. Cosines lie in [-1, 1], so their softmax would be nearly uniform with g = 1."""


class CosineScores(MultiHeadAttention):
    """softmax(g · cos(q, k)) V with a learned g for each head (Henry et al. 2020).

    The queries and keys are normalized before full attention, O(n² · d). The queries also have the
    factor g.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Build the projections; the initial g is `FIRST_SCALE`."""
        super().__init__(*args, **kwargs)
        self.log_scale_change = nn.Parameter(torch.zeros(self.num_heads))

    @classmethod
    def of(cls, config: TransformerStackConfig) -> "CosineScores":
        """Build the attention of one layer with the settings of its stack."""
        return stack_attention(cls, config)

    def build_memory(
        self, states: Tensor, mask: Mask | None, positions: RelativePositions = NO_POSITIONS
    ) -> AttentionMemory:
        """Project states [B, S, D] to keys of unit length and values, [B, G, S, K]."""
        memory = super().build_memory(states, mask, positions)
        return replace(memory, keys=_unit(memory.keys))

    def queries(self, projected: Tensor, positions: RelativePositions = NO_POSITIONS) -> Tensor:
        """Return g · sqrt(d_k) · q / |q|, [B, H, T, K]; the scores are divided by sqrt(d_k)."""
        heads = super().queries(projected, positions)
        scale = FIRST_SCALE * self.log_scale_change.exp() * heads.size(-1) ** 0.5
        return (_unit(heads) * scale[:, None, None]).type_as(heads)


def _unit(heads: Tensor) -> Tensor:
    return functional.normalize(at_least_float32(heads), dim=-1).type_as(heads)
