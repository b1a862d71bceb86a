"""Softmax attention to some of the positions; the pattern of a kind defines which.

Legend: B batch, T queries, S keys, H heads, K head size, D model size. In search: A sentences, N
beams of each.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from nmt.kernels.attention.attention_mask import AttentionMask
from nmt.kernels.attention.scaled_dot_product import attention, masked_softmax
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.relative import RelativePositions
from nmt.model.self_attention.kind import KindOfSelfAttention, is_causal, is_search, real_keys


class PatternAttention(KindOfSelfAttention):
    """softmax(Q K^T / sqrt(d_k)) V over the keys j that the pattern allows to query i."""

    @abstractmethod
    def allows(self, queries: Tensor, keys: Tensor, lengths: Tensor | None) -> Tensor:
        """Return whether queries at positions [T, 1] may attend to keys at positions [1, S].

        The caller excludes keys that are later than their query. Each position may attend to
        itself.

        Args:
            queries: [T, 1].
            keys: [1, S].
            lengths: [B, 1, 1, 1], the number of real pieces of each sentence; None in a decoder.

        Returns:
            Bool, broadcastable to [B, H, T, S].
        """

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        """Return a bias [H, T, S] that is added to the scores; None: no bias."""
        return None

    def weights(
        self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions
    ) -> Tensor:
        """Return the softmax over the allowed keys, [B, H, T, S]."""
        mask, bias = self._mask(heads, memory, positions)
        scores = self.scores(heads, memory.keys)
        return masked_softmax(scores if bias is None else scores + bias, mask)

    def contexts(
        self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions
    ) -> Tensor:
        """Return the joined contexts [B, T, D], by a mask of all pairs."""
        mask, bias = self._mask(heads, memory, positions)
        return attention(heads, memory.keys, memory.values, mask, bias, self.dropout.rate)

    def _mask(
        self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions
    ) -> tuple[Tensor, Tensor | None]:
        """Return the mask of the explicit form, broadcastable to [B, H, T, S], and the bias."""
        if not isinstance(memory.mask, AttentionMask):
            assert positions.in_step is not None
            now, earlier = positions.in_step
            allowed = self.allows(now[:, None], earlier[None], None)
            if memory.mask is not None:
                assert isinstance(memory.mask, Tensor)
                # The heads may have different windows: broadcast both masks.
                allowed = torch.where(allowed, memory.mask, float("-inf"))
            return allowed, self.bias(now[:, None], earlier[None])
        steps = torch.arange(heads.size(2), device=heads.device)
        real, lengths = real_keys(memory), None
        if real is not None:
            lengths = real.sum(1)[:, None, None, None]
        allowed = self.allows(steps[:, None], steps[None], lengths) & memory.mask.allowed
        # A padded query may otherwise have no key. Its context is not used.
        allowed = allowed | (steps[:, None] == steps)
        return allowed, self.bias(steps[:, None], steps[None])


class BlockedAttention(PatternAttention):
    """A pattern with a fast form, which computes long sentences in blocks.

    Its cost falls with the number of allowed pairs. Short sentences and the steps of search use the
    mask of all pairs.
    """

    smallest_block = 64  # positions; smaller products are slow

    def block_of(self, window: int) -> int:
        """Return the block length for a window, which then ends within a neighboring block."""
        return max(window, self.smallest_block)

    @property
    @abstractmethod
    def shortest(self) -> int:
        """The least length of a sentence that is computed in blocks."""

    @abstractmethod
    def blocked(
        self, heads: Tensor, keys: Tensor, values: Tensor, real: Tensor | None, *, causal: bool
    ) -> Tensor:
        """Return the joined contexts [B, T, D], computed in blocks.

        Args:
            heads: Queries [B, H, T, K].
            keys: [B, G, T, K].
            values: [B, G, T, K].
            real: [B, T], True for keys that are not padding; None: no key is padding.
            causal: Whether a query attends only to keys up to its own position.
        """

    def contexts(
        self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions
    ) -> Tensor:
        """Return the joined contexts [B, T, D], in blocks if the sentences are long enough."""
        if is_search(memory) or heads.size(2) < self.shortest:
            return super().contexts(heads, memory, positions)
        real, causal = real_keys(memory), is_causal(memory)
        return self.blocked(heads, memory.keys, memory.values, real, causal=causal)
