"""What attention reads, besides the query, and what it returns.

Legend: B batch, T queries, S keys and values, K size of a key, D size of a value, H heads. "..." is
no axis in the single-headed attention of an RNN decoder, and H in multi-head attention.
"""

from dataclasses import dataclass

from torch import Tensor

from nmt.kernels import attention as sdpa
from nmt.kernels import step_attention as steps
from nmt.kernels.attention_mask import AttentionMask
from nmt.kernels.packed_attention import SentenceMask, packed_attention
from nmt.model.beams import moved_into_gaps

Mask = Tensor | AttentionMask | SentenceMask | None
"""Which keys a query may attend to: True in a bool tensor, those of its sentence, or all."""


@dataclass(frozen=True)
class AttentionMemory:
    """Keys and values of a batch of sentences, projected once and passed in at every step.

    Attributes:
        keys: [B, ..., S, K], compared with the query.
        values: [B, ..., S, D], whose weighted mean is the context.
        mask: Broadcastable to scores [B, ..., T, S], True = may attend; None: all may. In search it
            may be additive, as that of `AttentionMask.bias`.
        sentences: In place of a mask, the sentences of a packed row, B = 1.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | AttentionMask | None
    sentences: SentenceMask | None = None

    @classmethod
    def of(cls, keys: Tensor, values: Tensor, mask: Mask) -> "AttentionMemory":
        """Make a memory with a mask of either kind."""
        if isinstance(mask, SentenceMask):
            return cls(keys, values, None, mask)
        return cls(keys, values, mask)

    @property
    def pair_mask(self) -> Tensor | AttentionMask | None:
        """The mask of all pairs of positions, large in a packed row; None: all may."""
        return self.mask if self.sentences is None else self.sentences.explicit

    @property
    def width(self) -> int:
        """Number of weights of a query."""
        return self.keys.size(-2)

    def text_weights(self, weights: Tensor) -> Tensor:
        """Return the weights [..., S] that belong to the text: all of them."""
        return weights

    def attend(self, query: Tensor, bias: Tensor | None, dropout_p: float) -> Tensor:
        """Return the joined contexts of queries [B, H, T, K]; see `nmt.kernels.attention`.

        Raises:
            ValueError: A bias, which is for distances in one sentence, in a packed row.
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
        """Return the memory of the rows of the batch with these indices [R]; R replaces B."""
        mask = None if self.mask is None else self.mask.index_select(0, rows)
        keys = steps.select_rows(self.keys, rows)
        return AttentionMemory(keys, self.values.index_select(0, rows), mask)

    def for_search(self) -> "AttentionMemory":
        """Return the memory as the steps of a search read it fastest, with an additive mask."""
        keys, values = steps.lay_out(self.keys, self.values)
        mask = self.mask.bias(keys) if isinstance(self.mask, AttentionMask) else self.mask
        return AttentionMemory(keys, values, mask)

    def keep(self, rows: Tensor) -> "AttentionMemory":
        """Return what `select` does, in the same memory; see `nmt.model.beams.moved_into_gaps`."""
        mask = None if self.mask is None else self.mask.index_select(0, rows)
        keys, values = moved_into_gaps((self.keys, self.values), rows)
        return AttentionMemory(keys, values, mask)


@dataclass(frozen=True)
class AttentionOutput:
    """The result of attention: context [B, T, D], and weights [B, ..., T, S] where requested."""

    context: Tensor
    weights: Tensor | None
