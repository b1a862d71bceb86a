"""Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2).

Legend: B batch, T query length, S key length, D model size, H heads, K = D / H head size.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.attention.core import Attended, AttentionMemory, masked_softmax
from nmt.model.dropout import Dropout


class MultiHeadAttention(nn.Module):
    """softmax(Q K^T / sqrt(K)) V in H subspaces; keys and values are projected in one product."""

    def __init__(self, size: int, memory_size: int, num_heads: int, dropout: float) -> None:
        """Attend from queries of ``size`` to states of ``memory_size``.

        Args:
            size: D, of queries and of the result.
            memory_size: Size of the states attended to.
            num_heads: H; divides ``size``.
            dropout: On the attention weights.
        """
        super().__init__()
        self.num_heads = num_heads
        self.query_projection = nn.Linear(size, size)
        self.key_value_projection = nn.Linear(memory_size, 2 * size)
        self.output_projection = nn.Linear(size, size)
        self.dropout = Dropout(dropout)

    def memory(self, states: Tensor, mask: Tensor | None) -> AttentionMemory:
        """Project states [B, S, memory_size] to keys and values [B, H, S, K].

        Args:
            states: What is attended to.
            mask: bool, broadcastable to [B, H, T, S], True = may attend; None: all may.
        """
        keys, values = self.key_value_projection(states).chunk(2, dim=-1)
        return AttentionMemory(self._split(keys), self._split(values), mask)

    def forward(self, query: Tensor, memory: AttentionMemory, *, need_weights: bool) -> Attended:
        """Attend from queries [B, T, D] -> context [B, T, D], weights [B, H, T, S] if needed.

        Without weights a fused kernel may compute the same in one go.
        """
        heads = self._split(self.query_projection(query))
        weights = None
        if need_weights or not self._can_fuse(heads):
            weights = self._weights(heads, memory)
            context = torch.matmul(self.dropout(weights).to(memory.values.dtype), memory.values)
        else:
            context = functional.scaled_dot_product_attention(
                heads,
                memory.keys,
                memory.values,
                attn_mask=memory.mask,
                dropout_p=self.dropout.probability if self.training else 0.0,
            )
        joined = context.transpose(1, 2).flatten(2)  # [B, T, D]
        return Attended(self.output_projection(joined), weights if need_weights else None)

    def _weights(self, heads: Tensor, memory: AttentionMemory) -> Tensor:
        scaled = heads * heads.size(-1) ** -0.5
        return masked_softmax(torch.matmul(scaled, memory.keys.transpose(-1, -2)), memory.mask)

    def _can_fuse(self, heads: Tensor) -> bool:
        # On CPUs the fused kernel's backward is slower than the products of short sentences.
        return heads.device.type != "cpu" or not torch.is_grad_enabled()

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # [B, H, S, K]
