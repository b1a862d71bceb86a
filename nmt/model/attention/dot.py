"""The ``dot`` score of Luong et al. 2015, section 3.1.

Legend: B batch, T target length, S source length.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from nmt.kernels.recurrent.loop_over_time import repeated_product
from nmt.model.attention.core import Attention
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.settings import BuiltAttention, LuongAttentionConfig, ScoreCost
from nmt.model.attention.window import Window
from nmt.model.layers import Linear


class DotAttention(Attention):
    """score(h_t, h_s) = h_t · h_s, or h_t · h_s / sqrt(size) (Vaswani et al. 2017, eq. 1).

    In the paper, encoder and decoder states have the same size. If the sizes differ (e.g. with a
    bidirectional encoder), a linear layer first projects the encoder states to the decoder's size.
    The projected states are both keys and values.
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        window: Window | None = None,
        *,
        scaled: bool = False,
    ) -> None:
        """Score pairs of a query of ``query_size`` and an encoder state of ``memory_size``."""
        super().__init__(window)
        self.scale = query_size**-0.5 if scaled else 1.0
        same = query_size == memory_size
        self.resize = nn.Identity() if same else Linear(memory_size, query_size, bias=False)

    def build_memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Return the states, projected to the decoder's size, as keys and values."""
        states = self.resize(states)
        return AttentionMemory(states, states, mask[:, None, :])

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        """Return query · key, or query · key / sqrt(size), for all pairs, [B, T, S]."""
        assert coverage is None
        return repeated_product((query * self.scale).type_as(keys), keys, transposed=True)


def dot_cost(query_size: int, memory_size: int) -> ScoreCost:
    """Return the multiply-adds of the scores, and of the projection if the sizes differ."""
    resize = 0 if query_size == memory_size else memory_size * query_size
    return ScoreCost(per_source=resize, per_pair=query_size)


@dataclass(kw_only=True)
class DotAttentionConfig(LuongAttentionConfig):
    """score(h_t, h_s) = h_t · h_s; see `DotAttention` for states of different sizes."""

    name: str = "luong_dot"

    def build(self, query_size: int, memory_size: int) -> BuiltAttention:
        """Build the attention, whose contexts have the decoder's size."""
        attention = DotAttention(query_size, memory_size, self.build_window(query_size))
        return BuiltAttention(attention, query_size)

    def score_cost(self, query_size: int, memory_size: int) -> ScoreCost:
        """Return the multiply-adds of the score's products."""
        return dot_cost(query_size, memory_size)
