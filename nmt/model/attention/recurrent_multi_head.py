"""Multi-head attention (Vaswani et al. 2017, section 3.2.2) in Luong's decoder.

Legend: B batch, T target length, S source length, H heads, K head size.
"""

from dataclasses import dataclass

from torch import Tensor

from nmt.config.setting import setting
from nmt.model.attention.core import Attention
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.settings import BuiltAttention, LuongAttentionConfig, ScoreCost
from nmt.model.attention.window import Window


class RecurrentMultiHeadAttention(Attention):
    """Multi-head attention of an RNN decoder, with weights [B, H, T, S]."""

    def __init__(
        self, query_size: int, memory_size: int, num_heads: int, window: Window | None = None
    ) -> None:
        """Attend from states of ``query_size``; H = ``num_heads`` heads share the window."""
        super().__init__(window)
        self.heads = MultiHeadAttention(query_size, memory_size, num_heads, dropout=0.0)

    def build_memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Project encoder states to keys and values, each [B, H, S, K]."""
        return self.heads.build_memory(states, mask[:, None, None, :])

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        """Return the scaled dot products of each head, [B, H, T, S]."""
        assert coverage is None
        return self.heads.scores(self.heads.queries(self.heads.query_projection(query)), keys)

    def context(self, weights: Tensor, values: Tensor) -> Tensor:
        """Average the values of each head, then join and project the heads, [B, T, query_size]."""
        return self.heads.output_projection(self.heads.context(weights, values))


@dataclass(kw_only=True)
class MultiHeadAttentionConfig(LuongAttentionConfig):
    """Multi-head attention (Vaswani et al. 2017, section 3.2.2) in Luong's decoder."""

    name: str = "multi_head"
    num_heads: int = setting(
        4, "Number of heads; it divides the decoder's hidden_size.", unit="heads", at_least=1
    )

    def build(self, query_size: int, memory_size: int) -> BuiltAttention:
        """Build the attention, whose contexts have the decoder's size."""
        window = self.build_window(query_size)
        attention = RecurrentMultiHeadAttention(query_size, memory_size, self.num_heads, window)
        return BuiltAttention(attention, query_size)

    def score_cost(self, query_size: int, memory_size: int) -> ScoreCost:
        """Return the multiply-adds of the score's products."""
        keys_and_values = 2 * memory_size * query_size
        query_and_output = 2 * query_size * query_size
        return ScoreCost(keys_and_values, query_and_output, per_pair=query_size)
