"""Local attention: a sliding window. Legend: B batch, T length, H heads, K head size."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor

from nmt.config.model import TransformerStackConfig
from nmt.kernels.attention.block_attention import Blocks, joint_attention, near_part
from nmt.model.attention.memory import AttentionMemory
from nmt.model.self_attention.constant_memory import WindowMemory
from nmt.model.self_attention.pattern import BlockedAttention
from nmt.model.self_attention.target_memory import TargetMemory


class LocalAttention(BlockedAttention):
    """Position i attends to the positions j with |i - j| <= w (Beltagy et al. 2020, section 3.1).

    In the paper, the window has w / 2 tokens on each side; here it has w. In a decoder, the window
    is the position itself and the w positions before it. Cost: O(n · w · d).
    """

    def __init__(self, *args: Any, window: int, **kwargs: Any) -> None:
        """Attend to ``window`` = w positions on each side."""
        super().__init__(*args, **kwargs)
        self.window = window

    @classmethod
    def settings(cls, config: TransformerStackConfig) -> dict[str, Any]:
        """Return w."""
        return {"window": config.attention_window}

    @property
    def shortest(self) -> int:
        """Two blocks."""
        return 2 * self.block_of(self.window)

    def start_memory(self, source: Sequence[AttentionMemory], position: Tensor) -> TargetMemory:
        """Return a memory of the new piece and the w pieces before it."""
        return WindowMemory.of(source, position, self.window + 1)

    def allows(self, queries: Tensor, keys: Tensor, lengths: Tensor | None) -> Tensor:
        """Return |i - j| <= w, [T, S]."""
        return (queries - keys).abs() <= self.window

    def blocked(
        self, heads: Tensor, keys: Tensor, values: Tensor, real: Tensor | None, *, causal: bool
    ) -> Tensor:
        """Attend from each block to itself and to its neighbors."""
        blocks = Blocks.of(heads, keys, values, real, self.block_of(self.window))
        near = near_part(blocks, 1, partial(self.allows, lengths=None), causal=causal)
        return joint_attention(blocks, [near], self.dropout.rate)
