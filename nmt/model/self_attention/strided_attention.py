"""Strided sparse attention. Legend: B batch, T length, H heads, K head size, N blocks."""

from typing import Any

import torch
from torch import Tensor

from nmt.config.model import TransformerStackConfig
from nmt.kernels.attention.block_attention import Blocks, joint_attention, near_part, stride_part
from nmt.model.self_attention.pattern import BlockedAttention


class StridedAttention(BlockedAttention):
    """Position i attends to the l positions on each side, and to distances that are multiples of l.

    Child et al. 2019, section 4.3: A^(1) = {t, t + 1, ..., i} for t = max(0, i - l), and A^(2) =
    {j : (i - j) mod l = 0}. One softmax covers both sets (section 5.1). In an encoder, both sets
    extend to later positions. Cost: O(n · (l + n / l) · d). For l near sqrt(n) it is least, O(n ·
    sqrt(n) · d).
    """

    def __init__(self, *args: Any, stride: int, **kwargs: Any) -> None:
        """Attend with the stride ``stride`` = l."""
        super().__init__(*args, **kwargs)
        self.stride = stride

    @classmethod
    def settings(cls, config: TransformerStackConfig) -> dict[str, Any]:
        """Return l."""
        return {"stride": config.attention_stride}

    @property
    def shortest(self) -> int:
        """Two blocks."""
        return 2 * self.stride

    def allows(self, queries: Tensor, keys: Tensor, lengths: Tensor | None) -> Tensor:
        """Return whether the distance is at most l or a multiple of l, [T, S]."""
        distances = (queries - keys).abs()
        return (distances <= self.stride) | (distances % self.stride == 0)

    def blocked(
        self, heads: Tensor, keys: Tensor, values: Tensor, real: Tensor | None, *, causal: bool
    ) -> Tensor:
        """Attend to neighboring blocks, and to the same offset in blocks further away."""
        blocks = Blocks.of(heads, keys, values, real, self.stride)

        def is_near(queries: Tensor, keys: Tensor) -> Tensor:
            return (queries - keys).abs() <= self.stride

        numbers = torch.arange(blocks.real.size(1), device=heads.device)
        apart = numbers[:, None] - numbers
        far = (apart if causal else apart.abs()) >= 2  # the window has the neighboring blocks
        near = near_part(blocks, 1, is_near, causal=causal)
        return joint_attention(blocks, [near, stride_part(blocks, far)], self.dropout.rate)
