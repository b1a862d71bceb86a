"""No attention: one vector represents the source (Sutskever et al. 2014, Cho et al. 2014).

Legend: B batch, T queries, D size of an encoder state.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from nmt.model.attention.memory import AttentionMemory, AttentionOutput
from nmt.model.attention.settings import BuildableAttentionConfig, BuiltAttention, ScoreCost
from nmt.model.interfaces import EncoderOutput


class FixedContext(nn.Module):
    """Replaces an `Attention`: the context of every step is the encoder's summary.

    It uses the memory and the length T of the query. The other arguments are those of `Attention`.
    """

    def build_memory(self, encoder_output: EncoderOutput) -> AttentionMemory:
        """Return the summary [B, D] as the only value, [B, 1, D]."""
        summary = encoder_output.summary[:, None]
        return AttentionMemory(summary, summary, None)

    def forward(
        self,
        query: Tensor,
        memory: AttentionMemory,
        positions: Tensor | None = None,
        coverage: Tensor | None = None,
    ) -> AttentionOutput:
        """Return the summary as context [B, T, D]; there are no weights."""
        return AttentionOutput(memory.values.expand(-1, query.size(1), -1), None)


@dataclass(kw_only=True)
class NoAttentionConfig(BuildableAttentionConfig):
    """The decoder gets the encoder's summary at every step."""

    attends = False
    name: str = "none"

    def build(self, query_size: int, memory_size: int) -> BuiltAttention:
        """Return no attention: the decoder then has a `FixedContext`."""
        return BuiltAttention(None, memory_size)

    def score_cost(self, query_size: int, memory_size: int) -> ScoreCost:
        """Return 0: there are no scores."""
        return ScoreCost()
