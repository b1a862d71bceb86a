"""Fixed sparse attention. Legend: B batch, T length, H heads, N blocks, L = l length of a block."""

from typing import Any

import torch
from torch import Tensor

from nmt.config.model import TransformerStackConfig
from nmt.kernels.attention.block_attention import Blocks, column_part, joint_attention, near_part
from nmt.model.self_attention.pattern import BlockedAttention


class FixedAttention(BlockedAttention):
    """Position i attends to its block of l positions and to the last c positions of other blocks.

    Child et al. 2019, section 4.3: A^(1) = {j : floor(j / l) = floor(i / l)} and A^(2) = {j : j mod
    l in {l - c, ..., l - 1}}. One softmax covers both sets (the merged head of section 5.1). As
    section 4.3 advises, heads have distinct subblocks of c positions. The subblock of head h ends
    before offset l - c · (h mod floor(l / c)) of a block. In a decoder, no key is later than its
    query. Cost: O(n · (l + n · c / l) · d). For l near sqrt(n · c) it is least, O(n · sqrt(n · c) ·
    d).
    """

    def __init__(self, *args: Any, stride: int, summaries: int, **kwargs: Any) -> None:
        """Cut sentences into blocks of ``stride`` = l with ``summaries`` = c positions each."""
        super().__init__(*args, **kwargs)
        self.stride = stride
        self.summaries = min(summaries, stride)

    @classmethod
    def settings(cls, config: TransformerStackConfig) -> dict[str, Any]:
        """Return l and c."""
        return {"stride": config.attention_stride, "summaries": config.attention_summaries}

    @property
    def shortest(self) -> int:
        """Two blocks."""
        return 2 * self.stride

    def _starts(self, heads: int) -> list[int]:
        """Return the first offset of the subblock of each head within a block."""
        subblocks = self.stride // self.summaries
        return [self.stride - self.summaries * (1 + h % subblocks) for h in range(heads)]

    def allows(self, queries: Tensor, keys: Tensor, lengths: Tensor | None) -> Tensor:
        """Return whether keys are in the block of the query or in a subblock, [H, T, S]."""
        starts = torch.tensor(self._starts(self.num_heads), device=keys.device)[:, None, None]
        offsets = keys % self.stride - starts
        summaries = (offsets >= 0) & (offsets < self.summaries)
        return summaries | (queries // self.stride == keys // self.stride)

    def blocked(
        self, heads: Tensor, keys: Tensor, values: Tensor, real: Tensor | None, *, causal: bool
    ) -> Tensor:
        """Attend within each block, and from each block to the subblocks of other blocks."""
        blocks = Blocks.of(heads, keys, values, real, self.stride)
        starts, c = self._starts(self.num_heads), self.summaries
        ends = [
            torch.stack([part[:, h, :, s : s + c] for h, s in enumerate(starts)], 1).flatten(2, 3)
            for part in (blocks.keys, blocks.values)
        ]  # [B, H, N · c, K]
        of_queries = torch.arange(blocks.real.size(1), device=heads.device)[:, None, None]
        of_keys = of_queries.flatten().repeat_interleave(c)
        others = of_keys < of_queries if causal else of_keys != of_queries  # [N, 1, N · c]
        usable = torch.stack([blocks.real[:, :, s : s + c].flatten(1) for s in starts], 1)
        allowed = usable[:, :, None, None] & others
        own = near_part(blocks, 0, causal=causal)
        far = column_part(blocks, ends[0], ends[1], allowed)
        return joint_attention(blocks, [own, far], self.dropout.rate)
