"""Multiplicative scores (Luong et al. 2015, eq. 8). Legend: B batch, T target, S source length."""

import torch
from torch import Tensor, nn

from nmt.model.attention.core import Attention, AttentionMemory


class DotAttention(Attention):
    """score(h_t, h_s) = h_t · h_s.

    The paper's encoder and decoder are equally wide. Where ours are not (a bidirectional encoder),
    the states are first mapped to the decoder's width, as keys and values alike.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        """Score queries of ``query_size`` against states of ``memory_size``."""
        super().__init__()
        self.value_size = query_size
        same = query_size == memory_size
        self.resize = nn.Identity() if same else nn.Linear(memory_size, query_size, bias=False)

    def memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Keys and values are the states, at the decoder's width."""
        states = self.resize(states)
        return AttentionMemory(states, states, mask[:, None, :])

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return query · key for all pairs, [B, T, S]."""
        return torch.bmm(query.to(keys.dtype), keys.transpose(1, 2))


class GeneralAttention(Attention):
    """score(h_t, h_s) = h_t · W h_s, the bilinear score; W is applied to the states once."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        """Score queries of ``query_size`` against states of ``memory_size``."""
        super().__init__()
        self.key_projection = nn.Linear(memory_size, query_size, bias=False)

    def memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Project the keys W h_s once; the values are the states themselves."""
        return AttentionMemory(self.key_projection(states), states, mask[:, None, :])

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return query · key for all pairs, [B, T, S]."""
        return torch.bmm(query.to(keys.dtype), keys.transpose(1, 2))
