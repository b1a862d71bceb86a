"""The ``general`` score of Luong et al. 2015, section 3.1.

Legend: B batch, T target length, S source length.
"""

from dataclasses import dataclass

from torch import Tensor

from nmt.kernels.recurrent.loop_over_time import repeated_product
from nmt.model.attention.core import Attention
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.settings import BuiltAttention, LuongAttentionConfig, ScoreCost
from nmt.model.attention.window import Window
from nmt.model.layers import Linear


class GeneralAttention(Attention):
    """score(h_t, h_s) = h_t · W h_s, the bilinear score."""

    def __init__(self, query_size: int, memory_size: int, window: Window | None = None) -> None:
        """Score pairs of a query of ``query_size`` and an encoder state of ``memory_size``."""
        super().__init__(window)
        self.key_projection = Linear(memory_size, query_size, bias=False)

    def build_memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Compute the keys W h_s once; the values are the states themselves."""
        return AttentionMemory(self.key_projection(states), states, mask[:, None, :])

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        """Return query · key for all pairs, [B, T, S]."""
        assert coverage is None
        return repeated_product(query.type_as(keys), keys, transposed=True)


@dataclass(kw_only=True)
class GeneralAttentionConfig(LuongAttentionConfig):
    """score(h_t, h_s) = h_t · W h_s."""

    name: str = "luong_general"

    def build(self, query_size: int, memory_size: int) -> BuiltAttention:
        """Build the attention, whose contexts are averages of encoder states."""
        attention = GeneralAttention(query_size, memory_size, self.build_window(query_size))
        return BuiltAttention(attention, memory_size)

    def score_cost(self, query_size: int, memory_size: int) -> ScoreCost:
        """Return the multiply-adds of the score's products."""
        return ScoreCost(per_source=memory_size * query_size, per_pair=query_size)
