"""A Transformer's cross-attention to a text and to regions beside it.

Legend: B batch, T target length, S source length, R regions, D model size, H heads.
"""

from torch import Tensor, nn

from nmt.model.attention.double_memory import DoubleMemory, joined_weights
from nmt.model.attention.doubly import Gate
from nmt.model.attention.memory import AttentionMemory, AttentionOutput, Mask
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.relative import NO_POSITIONS, RelativePositions


class GatedCrossAttention(nn.Module):
    """Two cross-attentions in parallel, to a text h and to regions a, of each query x:

        attention(x, h) + beta(x) · attention'(x, a)

    The sum is the parallel combination of Libovický et al. 2018, section 3; the gate beta is that
    of `nmt.model.attention.doubly.Gate`. The weights [B, H, T, S + R] are those over the text, then
    those over the regions, without beta; each of the two parts sums to 1.
    """

    def __init__(self, text: MultiHeadAttention, regions: MultiHeadAttention, size: int) -> None:
        """Join the attentions of queries of ``size`` = D, which have the same number of heads."""
        super().__init__()
        self.num_heads = text.num_heads
        self.text = text
        self.regions = regions
        self.gate = Gate(size)

    def build_memory(self, states: Tensor, mask: Mask) -> AttentionMemory:
        """Refuse a text without regions; see `build_double_memory`."""
        raise ValueError("this attention needs regions beside the text")

    def build_double_memory(
        self, states: tuple[Tensor, Mask], regions: tuple[Tensor, Mask]
    ) -> DoubleMemory:
        """Project the states of text [B, S, D] and regions [B, R, D], each with its mask."""
        return DoubleMemory.join(
            self.text.build_memory(*states), self.regions.build_memory(*regions)
        )

    def forward(
        self,
        query: Tensor,
        memory: AttentionMemory,
        *,
        need_weights: bool,
        positions: RelativePositions = NO_POSITIONS,
    ) -> AttentionOutput:
        """Attend from queries [B, T, D]; see `MultiHeadAttention.forward`."""
        assert isinstance(memory, DoubleMemory)
        assert memory.regions is not None
        text = self.text(query, memory.text, need_weights=need_weights, positions=positions)
        regions = self.regions(
            query, memory.regions, need_weights=need_weights, positions=positions
        )
        context = text.context + self.gate(query) * regions.context
        weights = joined_weights(text.weights, regions.weights) if need_weights else None
        return AttentionOutput(context, weights)
