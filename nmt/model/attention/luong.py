"""Multiplicative scores (Luong et al. 2015, section 3.1).

Legend: B batch, T target length, S source length.
"""

import torch
from torch import Tensor, nn

from nmt.kernels.repeated_linear import Project, plain_project
from nmt.model.attention.core import Attention
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.window import Window
from nmt.model.layers import Linear


class DotAttention(Attention):
    """score(h_t, h_s) = h_t · h_s, or h_t · h_s / sqrt(size) (Vaswani et al. 2017, eq. 1).

    In the paper, encoder and decoder have the same width. Where they differ (a bidirectional
    encoder), the states are first mapped to the decoder's width, as keys and values alike.
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        window: Window | None = None,
        *,
        scaled: bool = False,
    ) -> None:
        """Score queries of ``query_size`` against states of ``memory_size``."""
        super().__init__(window)
        self.scale = query_size**-0.5 if scaled else 1.0
        same = query_size == memory_size
        self.resize = nn.Identity() if same else Linear(memory_size, query_size, bias=False)

    def memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Keys and values are the states, at the decoder's width."""
        states = self.resize(states)
        return AttentionMemory(states, states, mask[:, None, :])

    def scores(
        self,
        query: Tensor,
        keys: Tensor,
        coverage: Tensor | None = None,
        project: Project = plain_project,
    ) -> Tensor:
        """Return query · key for all pairs, scaled if so configured, [B, T, S]."""
        assert coverage is None
        return torch.bmm((query * self.scale).type_as(keys), keys.transpose(1, 2))


class GeneralAttention(Attention):
    """score(h_t, h_s) = h_t · W h_s, the bilinear score; W is applied to the states once."""

    def __init__(self, query_size: int, memory_size: int, window: Window | None = None) -> None:
        """Score queries of ``query_size`` against states of ``memory_size``."""
        super().__init__(window)
        self.key_projection = Linear(memory_size, query_size, bias=False)

    def memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Project the keys W h_s once; the values are the states themselves."""
        return AttentionMemory(self.key_projection(states), states, mask[:, None, :])

    def scores(
        self,
        query: Tensor,
        keys: Tensor,
        coverage: Tensor | None = None,
        project: Project = plain_project,
    ) -> Tensor:
        """Return query · key for all pairs, [B, T, S]."""
        assert coverage is None
        return torch.bmm(query.type_as(keys), keys.transpose(1, 2))
