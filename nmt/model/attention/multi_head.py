"""Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2).

Legend: B batch, T queries, S keys, D model size, H heads of queries, G heads of keys and values,
K = D / H head size (d_k in the paper). G = H is multi-head attention. G = 1 is multi-query
attention (Shazeer 2019). 1 < G < H is grouped-query attention (Ainslie et al. 2023).
"""

from torch import Tensor, nn

from nmt.kernels.attention import scaled_dot_product as sdpa
from nmt.kernels.attention.attention_mask import Mask
from nmt.kernels.attention.masked_attention import masked_attention
from nmt.model.attention.memory import AttentionMemory, AttentionOutput
from nmt.model.attention.relative import NO_POSITIONS, RelativePositions
from nmt.model.attention.rotary import rotate
from nmt.model.layers import Dropout, Linear, RmsNorm


class MultiHeadAttention(nn.Module):
    """softmax(Q K^T / sqrt(d_k)) V in each of H heads; one linear layer projects keys and values.

    With G < H, query head h uses the keys and values of head floor(h · G / H). Search then needs
    less memory. ``qk_norm`` normalizes the queries and keys of each head with RMS norm (Zhang &
    Sennrich 2019), which bounds the scores. Henry et al. 2020 use the L2 norm and a learned scale.
    """

    can_fuse = True  # False if no fused kernel computes the contexts of the subclass

    def __init__(
        self,
        size: int,
        memory_size: int,
        num_heads: int,
        dropout: float,
        *,
        num_kv_heads: int | None = None,
        qk_norm: bool = False,
    ) -> None:
        """Build the layers. ``size`` = D, G divides H, and H divides D; None: G = H."""
        super().__init__()
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads or num_heads
        head_size = size // num_heads
        self.query_projection = Linear(size, size)
        self.key_value_projection = Linear(memory_size, 2 * self.num_kv_heads * head_size)
        self.output_projection = Linear(size, size)
        self.query_norm = RmsNorm(head_size) if qk_norm else nn.Identity()
        self.key_norm = RmsNorm(head_size) if qk_norm else nn.Identity()
        self.dropout = Dropout(dropout)

    def build_memory(
        self, states: Tensor, mask: Mask | None, positions: RelativePositions = NO_POSITIONS
    ) -> AttentionMemory:
        """Project states [B, S, memory_size], at positions, to keys and values [B, G, S, K]."""
        keys, values = sdpa.split_keys_values(self.key_value_projection(states), self.num_kv_heads)
        return AttentionMemory(rotate(self.key_norm(keys), positions.rotation), values, mask)

    def forward(
        self,
        query: Tensor,
        memory: AttentionMemory,
        *,
        need_weights: bool,
        positions: RelativePositions = NO_POSITIONS,
    ) -> AttentionOutput:
        """Attend from queries [B, T, D] -> context [B, T, D], weights [B, H, T, S] if needed."""
        joined = self.attend(self.query_projection(query), memory, positions, need_weights)
        return AttentionOutput(self.output_projection(joined.context), joined.weights)

    def attend(
        self, projected: Tensor, memory: AttentionMemory, at: RelativePositions, need_weights: bool
    ) -> AttentionOutput:
        """Attend from projected queries [B, T, D] -> joined heads [B, T, D], weights if needed."""
        heads, keys, values = self.queries(projected, at), memory.keys, memory.values
        if need_weights or not self.can_fuse:
            weights = sdpa.masked_softmax(self.scores(heads, keys, at), memory.mask)
            context = self.context(self.dropout(weights), values, at)
            return AttentionOutput(context, weights if need_weights else None)
        joined = masked_attention(heads, keys, values, memory.mask, at.bias, self.dropout.rate)
        return AttentionOutput(joined, None)

    def queries(self, projected: Tensor, positions: RelativePositions = NO_POSITIONS) -> Tensor:
        """Split projected queries [B, T, D] into heads [B, H, T, K], at these positions."""
        heads = sdpa.split_heads(projected, self.num_heads)
        return rotate(self.query_norm(heads), positions.rotation)

    def scores(
        self, heads: Tensor, keys: Tensor, positions: RelativePositions = NO_POSITIONS
    ) -> Tensor:
        """Return Q K^T / sqrt(d_k) of heads [B, H, T, K] and keys [B, G, S, K], [B, H, T, S]."""
        scores = sdpa.grouped_product(heads * heads.size(-1) ** -0.5, keys.transpose(-1, -2))
        return scores if positions.bias is None else scores + positions.bias

    def context(
        self, weights: Tensor, values: Tensor, positions: RelativePositions = NO_POSITIONS
    ) -> Tensor:
        """Average values [B, G, S, K] by weights [B, H, T, S], join the heads -> [B, T, D]."""
        return sdpa.join_heads(sdpa.grouped_product(weights.type_as(values), values))
