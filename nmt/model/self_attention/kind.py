"""Base class of the kinds of self-attention: an explicit form with weights, a fast form without.

Legend: B batch, T queries, S keys, H heads, G heads of keys and values, K head size, D model size.
In search: A sentences, N beams of each.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor

from nmt.config.model import TransformerStackConfig
from nmt.kernels import dispatch
from nmt.kernels.attention.attention_mask import AttentionMask
from nmt.model.attention.memory import AttentionMemory, AttentionOutput
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.relative import RelativePositions
from nmt.model.attention.stack_attention import stack_attention
from nmt.model.self_attention.target_memory import GrowingMemory, TargetMemory


class KindOfSelfAttention(MultiHeadAttention, ABC):
    """Self-attention with the projections of `MultiHeadAttention` and other weights.

    A kind defines two methods. `weights` is its formula. `contexts` returns the weighted sums of
    the values, but need not compute the weights.
    """

    @classmethod
    def of(cls, config: TransformerStackConfig) -> Self:
        """Build the attention of one layer with the settings of its stack."""
        return stack_attention(cls, config, **cls.settings(config))

    @classmethod
    def settings(cls, config: TransformerStackConfig) -> dict[str, Any]:
        """Return the constructor arguments that only this kind has."""
        return {}

    def penalty(self) -> tuple[Tensor, float] | None:
        """Return a penalty per target token and its weight in the loss; None: no penalty."""
        return None

    def start_memory(self, source: Sequence[AttentionMemory], position: Tensor) -> TargetMemory:
        """Return the memory of target pieces of all layers before the first piece.

        ``source`` has the memory of each layer's cross-attention. ``position`` is [1], 0.
        """
        return GrowingMemory.of(source, position)

    @abstractmethod
    def weights(
        self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions
    ) -> Tensor:
        """Return the weights [B, H, T, S] of queries [B, H, T, K] (explicit form)."""

    @abstractmethod
    def contexts(
        self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions
    ) -> Tensor:
        """Return the joined contexts [B, T, D] of queries [B, H, T, K] (fast form)."""

    def has_weights(self, memory: AttentionMemory) -> bool:
        """Return whether `weights` can replace `contexts` for this memory."""
        return True

    def attend(
        self, projected: Tensor, memory: AttentionMemory, at: RelativePositions, need_weights: bool
    ) -> AttentionOutput:
        """Attend from projected queries [B, T, D] -> joined heads [B, T, D], weights if needed."""
        heads = self.queries(projected, at)
        plain = dispatch.only_plain() or not self.can_fuse
        if need_weights or (plain and self.has_weights(memory)):
            weights = self.weights(heads, memory, at)
            context = self.context(self.dropout(weights), memory.values)
            return AttentionOutput(context, weights if need_weights else None)
        return AttentionOutput(self.contexts(heads, memory, at).type_as(projected), None)


def is_search(memory: AttentionMemory) -> bool:
    """Return whether the queries are the beams of a search step, not the pieces of a sentence."""
    return not isinstance(memory.mask, AttentionMask)


def is_causal(memory: AttentionMemory) -> bool:
    """Return whether each query may attend only to keys up to its own position."""
    return isinstance(memory.mask, AttentionMask) and memory.mask.is_causal


def real_keys(memory: AttentionMemory) -> Tensor | None:
    """Return which keys are not padding, [B, S]; None with a causal mask, which hides padding."""
    assert isinstance(memory.mask, AttentionMask)
    return None if memory.mask.is_causal else memory.mask.allowed[:, 0, 0]
