"""Window, global and random blocks. Legend: B batch, T length, N blocks, R random blocks."""

from typing import Any

import torch
from torch import Tensor

from nmt.config.model import TransformerStackConfig
from nmt.kernels.attention.block_attention import (
    Blocks,
    chosen_part,
    column_part,
    joint_attention,
    near_part,
)
from nmt.kernels.attention.scaled_dot_product import attention
from nmt.model.self_attention.pattern import BlockedAttention


class RandomGlobalAttention(BlockedAttention):
    """Each block attends to itself, its neighbors, g global blocks and r random blocks.

    Zaheer et al. 2020, section 2 and appendix D (BigBird, internal global tokens): all blocks
    attend to the first g blocks. In an encoder, the first g blocks attend to all blocks. The random
    blocks of block i depend only on i and on the number of real blocks of the sentence. In a
    decoder, they are earlier blocks and depend only on i. A block that is chosen twice counts once.
    Cost: O(n · (3 + g + r) · b · d) for blocks of b positions.
    """

    def __init__(
        self, *args: Any, block: int, random_blocks: int, global_blocks: int, **kwargs: Any
    ) -> None:
        """Attend to g = ``global_blocks`` and r = ``random_blocks`` of ``block`` positions."""
        super().__init__(*args, **kwargs)
        self.block, self.random_blocks, self.global_blocks = block, random_blocks, global_blocks

    @classmethod
    def settings(cls, config: TransformerStackConfig) -> dict[str, Any]:
        """Return the length of a block, r and g."""
        return {
            "block": config.attention_block,
            "random_blocks": config.attention_random_blocks,
            "global_blocks": config.attention_global_blocks,
        }

    @property
    def shortest(self) -> int:
        """The number of blocks that each block attends to, in positions."""
        return (3 + self.global_blocks + self.random_blocks) * self.block

    def allows(self, queries: Tensor, keys: Tensor, lengths: Tensor | None) -> Tensor:
        """Return whether queries may attend to keys, [T, S] or [B, 1, T, S]."""
        mine, theirs = queries // self.block, keys // self.block
        allowed = ((mine - theirs).abs() <= 1) | (theirs < self.global_blocks)
        if lengths is not None:
            allowed = allowed | (mine < self.global_blocks)
        for number in range(self.random_blocks):
            allowed = allowed | (theirs == self._random(mine, number, lengths))
        return allowed

    def _random(self, mine: Tensor, number: int, lengths: Tensor | None) -> Tensor:
        """Return random block ``number`` of each block; it is the same in every run."""
        mixed = (mine * 2_654_435_761 + (number + 1) * 40_503_011) % (1 << 32)
        mixed = (mixed * 1_597_334_677 >> 16) % (1 << 16)
        count = mine if lengths is None else (lengths + self.block - 1) // self.block
        return mixed % count.clamp_min(1)

    def blocked(
        self, heads: Tensor, keys: Tensor, values: Tensor, real: Tensor | None, *, causal: bool
    ) -> Tensor:
        """Attend to near, global and random blocks, and from global blocks to all positions."""
        blocks = Blocks.of(heads, keys, values, real, self.block)
        lengths = None if real is None else real.sum(1)[:, None]
        near = near_part(blocks, 1, causal=causal)
        parts = [near, *self._global(blocks, causal), *self._random_parts(blocks, lengths)]
        contexts = joint_attention(blocks, parts, self.dropout.rate)
        first = self.global_blocks * self.block
        if causal or not first:
            return contexts
        allowed, rate = None if real is None else real[:, None, None], self.dropout.rate
        seen = attention(heads[:, :, :first], keys, values, allowed, dropout_p=rate)
        return torch.cat([seen, contexts[:, first:]], dim=1)

    def _global(self, blocks: Blocks, causal: bool) -> list[Any]:
        """Return the part of the global blocks, for blocks that are not their neighbors."""
        count = min(self.global_blocks, blocks.real.size(1))
        if not count:
            return []
        keys, values = (part[:, :, :count].flatten(2, 3) for part in (blocks.keys, blocks.values))
        mine = torch.arange(blocks.real.size(1), device=blocks.real.device)[:, None, None]
        theirs = mine[:count].flatten().repeat_interleave(self.block)
        far = (mine - theirs >= 2) if causal else (mine - theirs).abs() >= 2
        usable = blocks.real[:, :count].flatten(1)[:, None, None, None]
        return [column_part(blocks, keys, values, usable & far)]

    def _random_parts(self, blocks: Blocks, lengths: Tensor | None) -> list[Any]:
        """Return the part of the random blocks that are in no other part."""
        if not self.random_blocks:
            return []
        mine = torch.arange(blocks.real.size(1), device=blocks.real.device)[None]
        drawn = [self._random(mine, number, lengths) for number in range(self.random_blocks)]
        chosen = torch.stack(drawn, dim=-1)  # [B or 1, N, R]
        fresh = ((mine[..., None] - chosen).abs() > 1) & (chosen >= self.global_blocks)
        same = chosen[..., :, None] == chosen[..., None, :]  # [B or 1, N, R, R]
        fresh = fresh & ~same.tril(-1).any(-1)
        return [chosen_part(blocks, chosen, fresh)]
