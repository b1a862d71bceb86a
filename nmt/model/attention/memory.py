"""What attention reads, besides the query, and what it returns.

Legend: B batch, T queries, S keys and values, K size of a key, D size of a value, H heads. "..." is
no axis in the single-headed attention of an RNN decoder, and H in multi-head attention.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.kernels.packed_attention import SentenceMask


@dataclass(frozen=True)
class AttentionMemory:
    """Keys and values of a batch of sentences, projected once and passed in at every step.

    Attributes:
        keys: [B, ..., S, K], compared with the query.
        values: [B, ..., S, D], whose weighted mean is the context.
        mask: bool, broadcastable to scores [B, ..., T, S], True = may attend; None: all may.
        sentences: In place of a mask, the sentences of a packed row, B = 1.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | None
    sentences: SentenceMask | None = None

    def select(self, rows: Tensor) -> "AttentionMemory":
        """Return the memory of the rows of the batch with these indices [R]; R replaces B."""
        mask = None if self.mask is None else self.mask.index_select(0, rows)
        return AttentionMemory(
            self.keys.index_select(0, rows), self.values.index_select(0, rows), mask
        )

    def extended(self, keys: Tensor, values: Tensor) -> "AttentionMemory":
        """Append the keys and values of later positions; for self-attention while decoding."""
        return replace(
            self,
            keys=torch.cat([self.keys, keys], dim=-2),
            values=torch.cat([self.values, values], dim=-2),
        )


@dataclass(frozen=True)
class AttentionOutput:
    """The result of attention: context [B, T, D], and weights [B, ..., T, S] where requested."""

    context: Tensor
    weights: Tensor | None
