"""The input and the result of attention.

Legend: B batch, T target length, S source length, K size of a key, D size of a value. Leading axes
are free: the single-headed attention of an RNN has [B], multi-head attention [B, H].
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class AttentionMemory:
    """Keys and values of a batch of sentences, projected once and passed in at every step.

    Attributes:
        keys: [B, ..., S, K], compared with the query.
        values: [B, ..., S, D], averaged into the context.
        mask: bool, broadcastable to scores [B, ..., T, S], True = may attend; None: all may.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | None

    def select(self, rows: Tensor) -> "AttentionMemory":
        """Return the memory of these rows of the batch, [rows] instead of [B]."""
        mask = None if self.mask is None else self.mask.index_select(0, rows)
        return AttentionMemory(
            self.keys.index_select(0, rows), self.values.index_select(0, rows), mask
        )

    def extended(self, keys: Tensor, values: Tensor) -> "AttentionMemory":
        """Return the memory with later positions appended; for self-attention while decoding."""
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
