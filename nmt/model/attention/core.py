"""What all attention shares: the memory that is looked at, the masked softmax, the context.

Legend: B batch, H heads, T target length, S source length, D size of a value.
Leading axes are free: an RNN's attention has [B], multi-head attention [B, H].
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class AttentionMemory:
    """What attention reads of one batch of sentences, projected once and passed in at every step.

    Attributes:
        keys: [B, ..., S, K], compared with the query.
        values: [B, ..., S, D], averaged into the context.
        mask: bool, broadcastable to scores [B, ..., T, S], True = may attend; None: all may.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | None

    def select(self, rows: Tensor) -> "AttentionMemory":
        """Return the memory of these rows of the batch, [rows] in place of [B]."""
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
class Attended:
    """The result of a look: context [B, T, D], and weights [B, ..., T, S] where they were kept."""

    context: Tensor
    weights: Tensor | None


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Normalise scores [..., T, S] over S in float32, exactly 0 where the mask is False.

    A row with nothing to attend to gets weights of 0, not NaN.
    """
    scores = scores.float()
    if mask is None:
        return scores.softmax(dim=-1)
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
    return weights.masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)


class Attention(nn.Module, ABC):
    """Single-headed attention of a decoder state over encoder states."""

    @abstractmethod
    def memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Project encoder states [B, S, D] with their mask [B, S], once per sentence."""

    @abstractmethod
    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Score queries [B, T, Q] against keys [B, S, K], unnormalised, [B, T, S]."""

    def forward(self, query: Tensor, memory: AttentionMemory) -> Attended:
        """Attend from queries [B, T, Q]."""
        weights = masked_softmax(self.scores(query, memory.keys), memory.mask)
        return Attended(torch.bmm(weights.to(memory.values.dtype), memory.values), weights)
