"""What all attention shares: the memory that is looked at, the masked softmax, the context.

Legend: B batch, H heads, T target length, S source length, D size of a value, A size of a tanh.
Leading axes are free: an RNN's single-headed attention has [B], multi-head attention [B, H].
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.model.attention.window import Window, gaussian


@dataclass(frozen=True)
class AttentionMemory:
    """What attention reads of one batch of sentences, projected once and passed in at every step.

    Attributes:
        keys: [B, ..., S, K], compared with the query.
        values: [B, ..., S, D], averaged into the context.
        mask: bool, broadcastable to scores [B, ..., T, S], True = may attend; None: all may.
        projected: Keys and values of all heads side by side as one product made them,
            [B, S, 2 · H · K], for those who read both at once; None where keys and values are
            other than these, or nobody reads them so.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | None
    projected: Tensor | None = None

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
            projected=None,
        )


@dataclass(frozen=True)
class Attended:
    """The result of a look: context [B, T, D], and weights [B, ..., T, S] where they were kept."""

    context: Tensor
    weights: Tensor | None


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Normalise scores [..., T, S] over S, in float32 at least, exactly 0 where the mask is False.

    A row with nothing to attend to gets weights of 0, not NaN.
    """
    if scores.dtype in (torch.bfloat16, torch.float16):
        scores = scores.float()
    if mask is None:
        return scores.softmax(dim=-1)
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
    return weights.masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)


class Attention(nn.Module, ABC):
    """Attention of an RNN decoder's state over encoder states; kinds add their scores."""

    def __init__(self, window: Window | None = None) -> None:
        """Attend everywhere, or within a window."""
        super().__init__()
        self.window = window

    @abstractmethod
    def memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Project encoder states [B, S, D] with their mask [B, S], once per sentence."""

    @abstractmethod
    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        """Score queries [B, T, Q] against keys, unnormalised, [B, ..., T, S].

        ``coverage`` [B, S, A] enters the scores that have a place for it.
        """

    def forward(
        self,
        query: Tensor,
        memory: AttentionMemory,
        position: int = 0,
        coverage: Tensor | None = None,
    ) -> Attended:
        """Attend from queries [B, T, Q], the first of which stands at target ``position``."""
        scores = self.scores(query, memory.keys, coverage)
        weights = self._weights(scores, query, memory, position)
        return Attended(self.context(weights, memory.values), weights)

    def context(self, weights: Tensor, values: Tensor) -> Tensor:
        """Average values [B, S, D] by weights [B, T, S] -> [B, T, D]."""
        return torch.bmm(weights.to(values.dtype), values)

    def _weights(
        self, scores: Tensor, query: Tensor, memory: AttentionMemory, position: int
    ) -> Tensor:
        if self.window is None:
            return masked_softmax(scores, memory.mask)
        assert memory.mask is not None
        lengths = memory.mask.flatten(1).sum(1)
        offsets = self.window.offsets(query, lengths, scores.size(-1), position)  # [B, T, S]
        offsets = offsets.unflatten(0, (-1, *[1] * (scores.dim() - 3)))
        weights = masked_softmax(scores, memory.mask & (offsets.abs() <= self.window.size))
        return weights * gaussian(offsets, self.window.size) if self.window.fades else weights
