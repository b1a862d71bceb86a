"""The scaled dot product (Vaswani et al. 2017, eq. 1) as a score in Luong's decoder."""

from dataclasses import dataclass

from nmt.model.attention.dot import DotAttention, dot_cost
from nmt.model.attention.settings import BuiltAttention, LuongAttentionConfig, ScoreCost


@dataclass(kw_only=True)
class ScaledDotAttentionConfig(LuongAttentionConfig):
    """score(h_t, h_s) = h_t · h_s / sqrt(size); see `DotAttention`."""

    name: str = "scaled_dot"

    def build(self, query_size: int, memory_size: int) -> BuiltAttention:
        """Build the attention, whose contexts have the decoder's size."""
        window = self.build_window(query_size)
        attention = DotAttention(query_size, memory_size, window, scaled=True)
        return BuiltAttention(attention, query_size)

    def score_cost(self, query_size: int, memory_size: int) -> ScoreCost:
        """Return the multiply-adds of the score's products."""
        return dot_cost(query_size, memory_size)
