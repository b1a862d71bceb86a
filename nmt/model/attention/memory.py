"""Keys and values of attention, and its output.

Legend: B batch, T queries, S keys and values, K size of a key, D size of a value, H heads. "..." is
H in multi-head attention, and no axis in the other attentions of an RNN decoder.
"""

from dataclasses import dataclass

from torch import Tensor

from nmt.kernels.attention import scaled_dot_product as sdpa
from nmt.kernels.attention import step_attention as steps
from nmt.kernels.attention.attention_mask import AttentionMask
from nmt.kernels.attention.packed_attention import SentenceMask, packed_attention
from nmt.model.beams import moved_into_gaps

Mask = Tensor | AttentionMask | SentenceMask | None
"""Which keys a query may attend to: True in a bool mask, the keys of its sentence, or all keys."""


@dataclass(frozen=True)
class AttentionMemory:
    """Keys and values of a batch of sentences, computed once for all steps.

    Attributes:
        keys: [B, ..., S, K].
        values: [B, ..., S, D].
        mask: Broadcastable to scores [B, ..., T, S], True = may attend; None: all may. In search,
            the mask may be additive; see `AttentionMask.bias`.
        sentences: Replaces the mask in a packed row (B = 1): which pieces form a sentence.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | AttentionMask | None
    sentences: SentenceMask | None = None

    @classmethod
    def of(cls, keys: Tensor, values: Tensor, mask: Mask) -> "AttentionMemory":
        """Build a memory with a mask, or with the sentences of a packed row."""
        if isinstance(mask, SentenceMask):
            return cls(keys, values, None, mask)
        return cls(keys, values, mask)

    @property
    def pair_mask(self) -> Tensor | AttentionMask | None:
        """The mask of all pairs of queries and keys, in packed rows too; None: all may attend."""
        return self.mask if self.sentences is None else self.sentences.explicit

    @property
    def width(self) -> int:
        """The number of weights of a query."""
        return self.keys.size(-2)

    def text_weights(self, weights: Tensor) -> Tensor:
        """Return the weights [..., S] that belong to the text: all of them."""
        return weights

    def attend(self, query: Tensor, bias: Tensor | None, dropout_p: float) -> Tensor:
        """Return the joined contexts of queries [B, H, T, K]; see `nmt.kernels.attention`.

        Raises:
            ValueError: A packed row has a bias. A bias holds only for positions of one sentence.
        """
        if self.sentences is None:
            additive = self.mask is None or isinstance(self.mask, Tensor)
            if steps.is_by_columns(self.keys) and additive and not dropout_p:
                assert not isinstance(self.mask, AttentionMask)
                return steps.step_attention(query, self.keys, self.values, self.mask, bias)
            return sdpa.attention(query, self.keys, self.values, self.mask, bias, dropout_p)
        if bias is not None:
            raise ValueError("attention in packed rows has no bias")
        return packed_attention(query, self.keys, self.values, self.sentences, dropout_p)

    def select(self, rows: Tensor) -> "AttentionMemory":
        """Return the memory of these rows [R] of the batch; R replaces B."""
        mask = None if self.mask is None else self.mask.index_select(0, rows)
        keys = steps.select_rows(self.keys, rows)
        return AttentionMemory(keys, self.values.index_select(0, rows), mask)

    def for_search(self) -> "AttentionMemory":
        """Return the memory with an additive mask, in the layout that is fastest for search."""
        keys, values = steps.lay_out(self.keys, self.values)
        mask = self.mask.bias(keys) if isinstance(self.mask, AttentionMask) else self.mask
        return AttentionMemory(keys, values, mask)

    def keep(self, rows: Tensor) -> "AttentionMemory":
        """Do what `select` does, in the same storage; see `nmt.model.beams.moved_into_gaps`."""
        mask = None if self.mask is None else self.mask.index_select(0, rows)
        keys, values = moved_into_gaps((self.keys, self.values), rows)
        return AttentionMemory(keys, values, mask)


@dataclass(frozen=True)
class AttentionOutput:
    """Context [B, T, D], and weights [B, ..., T, S]; None: not requested."""

    context: Tensor
    weights: Tensor | None
