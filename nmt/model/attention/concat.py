"""The ``concat`` score of Luong et al. 2015, section 3.1, computed after the state update."""

from dataclasses import dataclass

from nmt.config.model import LARGEST_SIZE
from nmt.config.setting import setting
from nmt.model.attention.additive import AdditiveAttention, additive_cost
from nmt.model.attention.coverage import CoverageKind, build_coverage, coverage_setting
from nmt.model.attention.settings import BuiltAttention, LuongAttentionConfig, ScoreCost


@dataclass(kw_only=True)
class ConcatAttentionConfig(LuongAttentionConfig):
    """score(h_t, h_s) = v · tanh(W [h_t; h_s]), which `AdditiveAttention` computes as a sum."""

    name: str = "luong_concat"
    size: int = setting(
        256, "Size of the tanh layer.", unit="units", at_least=1, at_most=LARGEST_SIZE
    )
    coverage: str = coverage_setting()

    def build(self, query_size: int, memory_size: int) -> BuiltAttention:
        """Build the attention and its coverage."""
        window = self.build_window(query_size)
        attention = AdditiveAttention(query_size, memory_size, self.size, window)
        coverage = build_coverage(CoverageKind(self.coverage), memory_size, self.size)
        return BuiltAttention(attention, memory_size, coverage)

    def score_cost(self, query_size: int, memory_size: int) -> ScoreCost:
        """Return the multiply-adds of the score's products."""
        return additive_cost(query_size, memory_size, self.size, CoverageKind(self.coverage))
