"""What attention reads, besides the query, and what it returns.

Legend: B batch, T queries, S keys and values, K size of a key, D size of a value, H heads. "..." is
no axis in the single-headed attention of an RNN decoder, and H in multi-head attention.
"""

from dataclasses import dataclass

from torch import Tensor

from nmt.kernels.attention_mask import AttentionMask


@dataclass(frozen=True)
class AttentionMemory:
    """Keys and values of a batch of sentences, projected once and passed in at every step.

    Attributes:
        keys: [B, ..., S, K], compared with the query.
        values: [B, ..., S, D], whose weighted mean is the context.
        mask: Broadcastable to scores [B, ..., T, S], True = may attend; None: all may. In search it
            may be additive, as that of `AttentionMask.bias`.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | AttentionMask | None

    def select(self, rows: Tensor) -> "AttentionMemory":
        """Return the memory of the rows of the batch with these indices [R]; R replaces B."""
        mask = None if self.mask is None else self.mask.index_select(0, rows)
        return AttentionMemory(
            self.keys.index_select(0, rows), self.values.index_select(0, rows), mask
        )


@dataclass(frozen=True)
class AttentionOutput:
    """The result of attention: context [B, T, D], and weights [B, ..., T, S] where requested."""

    context: Tensor
    weights: Tensor | None
