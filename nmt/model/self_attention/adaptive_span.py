"""Learned spans of attention. Legend: B batch, T queries, S keys, H heads, R ramp, K head size."""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nmt.config.model import TransformerStackConfig
from nmt.kernels.attention.block_attention import Blocks, joint_attention, known_maximum, near_part
from nmt.model.self_attention.pattern import BlockedAttention


class AdaptiveSpan(BlockedAttention):
    """Weights m_z(x) exp(s) / sum of m_z(x') exp(s') for the distance x; each head has a span z.

    Sukhbaatar et al. 2019, section 2: m_z(x) = min(max((R + z - x) / R, 0), 1) is a soft mask. Each
    head learns z, between 0 and ``longest`` (S in the paper). For each layer, the loss adds the
    mean of its z times ``attention_span_loss``. In an encoder, x is the distance in either
    direction. The longest span of the layer sets the block size. `nmt.training.span_bounds` bounds
    z after each update. Cost: O(n · (z + R) · d).
    """

    def __init__(
        self, *args: Any, longest: int, ramp: int, penalty_weight: float, **kwargs: Any
    ) -> None:
        """Learn spans between 0 and ``longest`` with R = ``ramp``. The initial spans are 0."""
        super().__init__(*args, **kwargs)
        self.longest, self.ramp, self.penalty_weight = longest, ramp, penalty_weight
        self.span_shares = nn.Parameter(torch.zeros(self.num_heads))

    @classmethod
    def settings(cls, config: TransformerStackConfig) -> dict[str, Any]:
        """Return the longest span, R and the weight of the penalty."""
        return {
            "longest": config.attention_span,
            "ramp": config.attention_span_ramp,
            "penalty_weight": config.attention_span_loss,
        }

    def spans(self) -> Tensor:
        """Return z of each head, [H], in positions. Where z is clamped, it keeps its gradient."""
        shares = self.span_shares
        return self.longest * (shares + (shares.clamp(0, 1) - shares).detach())

    def penalty(self) -> tuple[Tensor, float] | None:
        """Return the mean span of the layer, and its weight."""
        return self.spans().mean(), self.penalty_weight

    @property
    def shortest(self) -> int:
        """Two blocks."""
        return 2 * self.block_of(self._reach())

    def _reach(self) -> int:
        """Return a distance beyond which every mask is 0."""
        return math.ceil(known_maximum(self.spans(), self.longest) + self.ramp)

    def allows(self, queries: Tensor, keys: Tensor, lengths: Tensor | None) -> Tensor:
        """Return where m_z > 0, [H, T, S]."""
        return self._mask_values(keys - queries) > 0

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return log m_z, [H, T, S]; 0 if m_z is 0, where `allows` is False."""
        return self._log_mask(keys - queries)

    def _mask_values(self, offsets: Tensor) -> Tensor:
        """Return m_z [H, T, S] of offsets [T, S]."""
        spans = self.spans()[:, None, None]
        return ((self.ramp + spans - offsets.abs()) / self.ramp).clamp(0, 1)

    def _log_mask(self, offsets: Tensor) -> Tensor:
        values = self._mask_values(offsets)
        return torch.where(values > 0, values, 1.0).log()

    def blocked(
        self, heads: Tensor, keys: Tensor, values: Tensor, real: Tensor | None, *, causal: bool
    ) -> Tensor:
        """Attend from each block to itself and to its neighbors. No span reaches further."""
        blocks = Blocks.of(heads, keys, values, real, self.block_of(self._reach()))
        allows = partial(self.allows, lengths=None)
        near = near_part(blocks, 1, allows, self._log_mask, causal=causal)
        return joint_attention(blocks, [near], self.dropout.rate)
