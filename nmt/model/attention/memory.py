"""Keys and values of attention, and its output.

Legend: B batch, T queries, S keys and values, K size of a key, D size of a value, H heads. "..." is
H in multi-head attention, and no axis in the other attentions of an RNN decoder.
"""

from dataclasses import dataclass

from torch import Tensor

from nmt.kernels.attention import step_attention as steps
from nmt.kernels.attention.attention_mask import AttentionMask, Mask, select_mask
from nmt.model.beams import moved_into_gaps


@dataclass(frozen=True)
class AttentionMemory:
    """Keys and values of a batch of sentences, computed once for all steps.

    Attributes:
        keys: [B, ..., S, K].
        values: [B, ..., S, D].
        mask: The keys to which each query may attend, broadcastable to scores [B, ..., T, S]; see
            `nmt.kernels.attention.attention_mask`. None: all keys.
    """

    keys: Tensor
    values: Tensor
    mask: Mask | None

    @property
    def width(self) -> int:
        """The number of weights of a query."""
        return self.keys.size(-2)

    def text_weights(self, weights: Tensor) -> Tensor:
        """Return the weights [..., S] that belong to the text: all of them."""
        return weights

    def select(self, rows: Tensor) -> "AttentionMemory":
        """Return the memory of these rows [R] of the batch; R replaces B."""
        keys, values = steps.select_rows(self.keys, rows), self.values.index_select(0, rows)
        return AttentionMemory(keys, values, select_mask(self.mask, rows))

    def for_search(self) -> "AttentionMemory":
        """Return the memory with an additive mask, in the layout that is fastest for search."""
        keys, values = steps.lay_out(self.keys, self.values)
        mask = self.mask.bias(keys) if isinstance(self.mask, AttentionMask) else self.mask
        return AttentionMemory(keys, values, mask)

    def keep(self, rows: Tensor) -> "AttentionMemory":
        """Do what `select` does, in the same storage; see `nmt.model.beams.moved_into_gaps`."""
        keys, values = moved_into_gaps((self.keys, self.values), rows)
        return AttentionMemory(keys, values, select_mask(self.mask, rows))


@dataclass(frozen=True)
class AttentionOutput:
    """Context [B, T, D], and weights [B, ..., T, S]; None: not requested."""

    context: Tensor
    weights: Tensor | None
