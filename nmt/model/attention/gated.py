"""Cross-attention of a Transformer to a source text and to the regions of its picture.

Legend: B batch, T target length, S source length, R regions, D model size, H heads.
"""

from torch import Tensor, nn

from nmt.kernels.attention.attention_mask import Mask
from nmt.model.attention.double_memory import DoubleMemory, joined_weights, text_and_regions
from nmt.model.attention.doubly import Gate
from nmt.model.attention.memory import AttentionMemory, AttentionOutput
from nmt.model.attention.multi_head import MultiHeadAttention


class GatedCrossAttention(nn.Module):
    """Two parallel cross-attentions of each query x, to a text h and to regions a:

        attention(x, h) + beta(x) · attention'(x, a)

    The sum is the parallel combination of Libovický et al. 2018, section 3. `Gate` computes beta.
    The weights [B, H, T, S + R] are the weights of the text, then those of the regions without
    beta. Each of the two parts sums to 1.
    """

    def __init__(self, text: MultiHeadAttention, regions: MultiHeadAttention, size: int) -> None:
        """Join attentions with equal numbers of heads, for queries of ``size`` = D."""
        super().__init__()
        self.num_heads = text.num_heads
        self.text = text
        self.regions = regions
        self.gate = Gate(size)

    def build_memory(self, states: Tensor, mask: Mask | None) -> AttentionMemory:
        """Refuse a text without regions; use `build_double_memory`.

        Raises:
            ValueError: In every case.
        """
        raise ValueError("this attention needs regions, not only a text")

    def build_double_memory(
        self, states: tuple[Tensor, Mask | None], regions: tuple[Tensor, Mask | None]
    ) -> DoubleMemory:
        """Project the states of text [B, S, D] and regions [B, R, D], each with a mask."""
        return DoubleMemory.join(
            self.text.build_memory(*states), self.regions.build_memory(*regions)
        )

    def forward(
        self, query: Tensor, memory: AttentionMemory, *, need_weights: bool
    ) -> AttentionOutput:
        """Attend from queries [B, T, D]; see `MultiHeadAttention.forward`."""
        of_text, of_regions = text_and_regions(memory)
        text = self.text(query, of_text, need_weights=need_weights)
        regions = self.regions(query, of_regions, need_weights=need_weights)
        return self.combined(query, text, regions)

    def combined(
        self, query: Tensor, text: AttentionOutput, regions: AttentionOutput
    ) -> AttentionOutput:
        """Return attention(x, h) + beta(x) · attention'(x, a) for queries x [..., D]."""
        context = text.context + self.gate(query) * regions.context
        if text.weights is None or regions.weights is None:
            return AttentionOutput(context, None)
        return AttentionOutput(context, joined_weights(text.weights, regions.weights))
