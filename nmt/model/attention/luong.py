"""Multiplicative scores and the location score (Luong et al. 2015, section 3.1).

Legend: B batch, T target length, S source length, P positions of the location score.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.attention.core import Attention, AttentionMemory
from nmt.model.attention.window import Window
from nmt.model.linear import Linear


class DotAttention(Attention):
    """score(h_t, h_s) = h_t · h_s, or h_t · h_s / sqrt(size) (Vaswani et al. 2017, eq. 1).

    The paper's encoder and decoder are equally wide. Where ours are not (a bidirectional encoder),
    the states are first mapped to the decoder's width, as keys and values alike.
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

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        """Return query · key for all pairs, scaled where asked for, [B, T, S]."""
        assert coverage is None
        return torch.bmm((query * self.scale).to(keys.dtype), keys.transpose(1, 2))


class GeneralAttention(Attention):
    """score(h_t, h_s) = h_t · W h_s, the bilinear score; W is applied to the states once."""

    def __init__(self, query_size: int, memory_size: int, window: Window | None = None) -> None:
        """Score queries of ``query_size`` against states of ``memory_size``."""
        super().__init__(window)
        self.key_projection = Linear(memory_size, query_size, bias=False)

    def memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Project the keys W h_s once; the values are the states themselves."""
        return AttentionMemory(self.key_projection(states), states, mask[:, None, :])

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        """Return query · key for all pairs, [B, T, S]."""
        assert coverage is None
        return torch.bmm(query.to(keys.dtype), keys.transpose(1, 2))


class LocationAttention(Attention):
    """a_t = softmax(W h_t) (eq. 8): one score for each source position, whatever stands there.

    W has a row for each of P positions. As in the paper (section 3.1), a
    shorter sentence uses the first of them, and of a longer one the pieces behind P are ignored.
    """

    def __init__(self, query_size: int, num_positions: int, window: Window | None = None) -> None:
        """Score ``num_positions`` = P source positions from queries of ``query_size``."""
        super().__init__(window)
        self.position_scores = nn.Linear(query_size, num_positions, bias=False)

    def memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """The states are values only, the keys are of size 0; positions behind P are masked."""
        known = torch.arange(mask.size(1), device=mask.device) < self.position_scores.out_features
        return AttentionMemory(states[:, :, :0], states, (mask & known)[:, None, :])

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        """Return W query cut, or filled up, to the source's length, [B, T, S]."""
        assert coverage is None
        scores: Tensor = self.position_scores(query)
        return functional.pad(scores, (0, keys.size(1) - scores.size(-1)))
