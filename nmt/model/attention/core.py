"""Attention of an RNN decoder: scores, masked softmax and context.

    weights = softmax(scores(query, keys))        context = sum over s of weights_s · value_s

Legend: B batch, T target length, S source length, Q query size, M size of an encoder state or
value, A size of the tanh layer of an additive score, D half the window's width, H heads. The
scores of multi-head attention are [B, H, T, S]. All other scores are [B, T, S].
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from nmt.kernels.attention.attention_mask import mask_tensor
from nmt.kernels.attention.scaled_dot_product import masked_softmax
from nmt.kernels.recurrent.loop_over_time import repeated_product
from nmt.model.attention.memory import AttentionMemory, AttentionOutput
from nmt.model.attention.window import Window
from nmt.model.layers import Dropout


class Attention(nn.Module, ABC):
    """Attention of an RNN decoder's state over encoder states; subclasses define the scores.

    In training, ``dropout`` sets some weights of the context to 0 and scales up the others. The
    decoder sets its probability. Coverage and the caller get the weights before dropout.
    """

    def __init__(self, window: Window | None = None) -> None:
        """Attend to all positions, or within a window."""
        super().__init__()
        self.window = window
        self.dropout = Dropout(0.0)

    @abstractmethod
    def build_memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Project encoder states [B, S, M] with mask [B, S] to keys and values."""

    @abstractmethod
    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        """Return the unnormalized scores [B, ..., T, S] of queries [B, T, Q] and keys.

        Args:
            query: [B, T, Q].
            keys: The keys that `build_memory` computed.
            coverage: [B, T, S, A], added inside the tanh; None for scores without coverage.
        """

    def forward(
        self,
        query: Tensor,
        memory: AttentionMemory,
        positions: Tensor | None = None,
        coverage: Tensor | None = None,
    ) -> AttentionOutput:
        """Attend from queries [B, T, Q] at target positions [T], or [1] if all are the same.

        Only a window uses the positions; None: 0 to T - 1. `scores` describes ``coverage``.
        """
        scores = self.scores(query, memory.keys, coverage)
        weights = self._weights(scores, query, memory, positions)
        context = self.context(self.dropout(weights), memory.values)
        return AttentionOutput(context, weights)

    def context(self, weights: Tensor, values: Tensor) -> Tensor:
        """Return the sums [B, T, M] of values [B, S, M] weighted by [B, T, S]."""
        return repeated_product(weights.type_as(values), values)

    def _weights(
        self, scores: Tensor, query: Tensor, memory: AttentionMemory, positions: Tensor | None
    ) -> Tensor:
        if self.window is None:
            return masked_softmax(scores, memory.mask)
        if positions is None:
            positions = torch.arange(query.size(1), device=query.device)
        mask = mask_tensor(memory.mask)  # [B, 1, S], multi-head [B, 1, 1, S]
        assert mask is not None
        lengths = mask.flatten(1).sum(1)  # [B]
        offsets = self.window.offsets(query, lengths, scores.size(-1), positions)  # [B, T, S]
        if scores.dim() == 4:
            offsets = offsets[:, None]  # [B, 1, T, S]: the heads share the window
        weights = masked_softmax(scores, mask & (offsets.abs() <= self.window.size))
        if self.window.has_gaussian:
            # Luong et al. 2015, eq. 10: exp(-offset² / 2σ²) with σ = D / 2
            weights = weights * torch.exp(-2.0 * (offsets / self.window.size) ** 2)
        return weights
