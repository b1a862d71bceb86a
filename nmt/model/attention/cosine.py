"""The cosine score of the Neural Turing Machine (Graves et al. 2014) in Luong's decoder.

Legend: B batch, T target length, S source length.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from nmt.kernels.precision import at_least_float32
from nmt.kernels.recurrent.loop_over_time import repeated_product
from nmt.model.attention.core import Attention
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.settings import BuiltAttention, LuongAttentionConfig, ScoreCost
from nmt.model.attention.window import Window
from nmt.model.layers import Linear, RepeatedLinear

SMALLEST_NORM = 1e-6
"""The divisor is at least this, so the cosine of a vector of zeros is 0."""


class CosineAttention(Attention):
    """score(h_t, h_s) = β_t · cos(h_t, W h_s), with key strength β_t = softplus(v · h_t + b) > 0.

    Graves et al. 2014, section 3.3.1: the weights are the softmax of β_t K[k_t, M(s)] (eq. 5), and
    K is the cosine similarity (eq. 6). Here the state h_t is the key k_t, and W h_s are the rows of
    the memory M. A cosine lies in [-1, 1], so a softmax of cosines is nearly uniform; β_t sharpens
    it.
    """

    def __init__(self, query_size: int, memory_size: int, window: Window | None = None) -> None:
        """Score pairs of a query of ``query_size`` and an encoder state of ``memory_size``."""
        super().__init__(window)
        self.key_projection = Linear(memory_size, query_size, bias=False)
        self.key_strength = RepeatedLinear(query_size, 1)

    def build_memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Compute the keys W h_s / |W h_s| once; the values are the states themselves."""
        keys = self.key_projection(states)
        return AttentionMemory(_unit(keys).type_as(keys), states, mask[:, None, :])

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        """Return β_t times the cosines of all pairs, [B, T, S]."""
        assert coverage is None
        strength = functional.softplus(at_least_float32(self.key_strength(query)))
        cosines = repeated_product(_unit(query).type_as(keys), keys, transposed=True)
        return strength * cosines


def _unit(vectors: Tensor) -> Tensor:
    """Return vectors [..., K] divided by their norms, in float32 at least."""
    return functional.normalize(at_least_float32(vectors), dim=-1, eps=SMALLEST_NORM)


@dataclass(kw_only=True)
class CosineAttentionConfig(LuongAttentionConfig):
    """score(h_t, h_s) = β_t · cos(h_t, W h_s), with β_t = softplus(v · h_t + b)."""

    name: str = "cosine"

    def build(self, query_size: int, memory_size: int) -> BuiltAttention:
        """Build the attention, whose contexts are averages of encoder states."""
        attention = CosineAttention(query_size, memory_size, self.build_window(query_size))
        return BuiltAttention(attention, memory_size)

    def score_cost(self, query_size: int, memory_size: int) -> ScoreCost:
        """Return the multiply-adds of the score's products; norms are not counted."""
        return ScoreCost(memory_size * query_size, per_target=query_size, per_pair=query_size)
