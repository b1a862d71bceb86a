"""No attention: one vector represents the source (Sutskever et al. 2014, Cho et al. 2014)."""

from dataclasses import dataclass

from nmt.model.attention.settings import BuildableAttentionConfig, BuiltAttention, ScoreCost


@dataclass(kw_only=True)
class NoAttentionConfig(BuildableAttentionConfig):
    """The decoder gets the encoder's summary at every step."""

    attends = False
    name: str = "none"

    def build(self, query_size: int, memory_size: int) -> BuiltAttention:
        """Return that there is none."""
        return BuiltAttention(None, memory_size)

    def score_cost(self, query_size: int, memory_size: int) -> ScoreCost:
        """There are no scores."""
        return ScoreCost()
