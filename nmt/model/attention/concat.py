"""The ``concat`` score of Luong et al. 2015, section 3.1, attended after the state update."""

from dataclasses import dataclass

from nmt.config.setting import setting
from nmt.model.attention.additive import AdditiveAttention
from nmt.model.attention.coverage import CoverageKind, build_coverage
from nmt.model.attention.settings import BuiltAttention, LuongAttentionConfig


@dataclass(kw_only=True)
class ConcatAttentionConfig(LuongAttentionConfig):
    """score(h_t, h_s) = v · tanh(W [h_t; h_s]), which `AdditiveAttention` computes as a sum."""

    name: str = "luong_concat"
    size: int = setting(256, "Size of the tanh layer.", unit="units", at_least=1)
    coverage: str = setting(
        CoverageKind.NONE,
        "Whether the scores depend on earlier attention weights: not at all (none), on their sum "
        "(sum, See et al. 2017), or on their sum over a predicted fertility (fertility, Tu et al. "
        "2016).",
        choices=CoverageKind,
        before="none",
    )

    def build(self, query_size: int, memory_size: int) -> BuiltAttention:
        """Build the attention and its coverage."""
        window = self.build_window(query_size)
        attention = AdditiveAttention(query_size, memory_size, self.size, window)
        coverage = build_coverage(CoverageKind(self.coverage), memory_size, self.size)
        return BuiltAttention(attention, memory_size, coverage)
