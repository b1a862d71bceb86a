"""Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2).

Legend: B batch, T query length, S key length, D model size, H heads, G heads of keys and values,
K = D / H head size. G = H is multi-head, G = 1 multi-query, between them grouped-query attention.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.attention.core import Attended, AttentionMemory, masked_softmax
from nmt.model.attention.explicit import attend_explicitly
from nmt.model.attention.relative import NO_POSITIONS, RelativePositions, RelativeVectors, rotate
from nmt.model.dropout import Dropout
from nmt.model.linear import Linear, on_cpu
from nmt.model.norm import RmsNorm


class MultiHeadAttention(nn.Module):
    """softmax(Q K^T / sqrt(K)) V in H subspaces; keys and values are projected in one product.

    Fewer heads of keys and values than of queries make a smaller memory while decoding: Shazeer
    2019 (multi-query), Ainslie et al. 2023 (grouped-query). Query head h reads group h · G / H.
    """

    def __init__(
        self,
        size: int,
        memory_size: int,
        num_heads: int,
        dropout: float,
        *,
        num_kv_heads: int | None = None,
        qk_norm: bool = False,
        relative: RelativeVectors | None = None,
    ) -> None:
        """Attend from queries of ``size`` to states of ``memory_size``.

        Args:
            size: D, of queries and of the result.
            memory_size: Size of the states attended to.
            num_heads: H; divides ``size``.
            dropout: On the attention weights.
            num_kv_heads: G; divides ``num_heads``; None: as many.
            qk_norm: Normalise each head's queries and keys, so that scores stay bounded, after
                Henry et al. 2020; where they take the L2 norm and one learned scale, this is the
                norm of Zhang & Sennrich 2019, and scores stay divided by sqrt(K).
            relative: Vectors of relative positions, for self-attention.
        """
        super().__init__()
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads or num_heads
        head_size = size // num_heads
        self.query_projection = Linear(size, size)
        self.key_value_projection = Linear(memory_size, 2 * self.num_kv_heads * head_size)
        self.output_projection = Linear(size, size)
        self.query_norm = RmsNorm(head_size) if qk_norm else None
        self.key_norm = RmsNorm(head_size) if qk_norm else None
        self.relative = relative
        self.dropout = Dropout(dropout)

    def memory(
        self, states: Tensor, mask: Tensor | None, positions: RelativePositions = NO_POSITIONS
    ) -> AttentionMemory:
        """Project states [B, S, memory_size] to keys and values [B, G, S, K].

        Args:
            states: What is attended to.
            mask: bool, broadcastable to [B, H, T, S], True = may attend; None: all may.
            positions: Where the states stand, for keys that are rotated.
        """
        projected: Tensor = self.key_value_projection(states)
        keys, values = projected.chunk(2, dim=-1)
        keys = _split(keys, self.num_kv_heads)
        if self.key_norm is not None:
            keys = self.key_norm(keys)
        keys = rotate(keys, positions.rotation)
        values = _split(values, self.num_kv_heads)
        plain = self._is_plain(states, positions)
        return AttentionMemory(keys, values, mask, projected if plain else None)

    def forward(
        self,
        query: Tensor,
        memory: AttentionMemory,
        *,
        need_weights: bool,
        positions: RelativePositions = NO_POSITIONS,
    ) -> Attended:
        """Attend from queries [B, T, D] -> context [B, T, D], weights [B, H, T, S] if needed.

        Without weights a fused kernel may compute the same in one go.
        """
        if not need_weights and memory.projected is not None:
            queries = self.query_projection(query)
            joined = attend_explicitly(
                queries, memory.projected, memory.mask, self.num_heads, self.dropout
            )
            return Attended(self.output_projection(joined), None)
        heads = self.queries(query, positions)
        if not need_weights and self._can_fuse(heads):
            return Attended(self._fused(heads, memory, positions), None)
        scores = self.scores(heads, memory.keys, positions)
        weights = masked_softmax(scores, memory.mask)
        context = self.context(self.dropout(weights), memory.values, positions)
        return Attended(context, weights if need_weights else None)

    def queries(self, query: Tensor, positions: RelativePositions = NO_POSITIONS) -> Tensor:
        """Project queries [B, T, D] to heads [B, H, T, K]."""
        heads = _split(self.query_projection(query), self.num_heads)
        if self.query_norm is not None:
            heads = self.query_norm(heads)
        return rotate(heads, positions.rotation)

    def scores(
        self, heads: Tensor, keys: Tensor, positions: RelativePositions = NO_POSITIONS
    ) -> Tensor:
        """Return Q K^T / sqrt(K) of heads [B, H, T, K] and keys [B, G, S, K], [B, H, T, S]."""
        scaled = heads * heads.size(-1) ** -0.5
        products = torch.matmul(self._grouped(scaled), keys.transpose(-1, -2))
        scores = products.view(*heads.shape[:3], keys.size(-2))
        if self.relative is not None and positions.distances is not None:
            scores = scores + self.relative.scores(scaled, positions.distances)
        return scores if positions.bias is None else scores + positions.bias

    def context(
        self, weights: Tensor, values: Tensor, positions: RelativePositions = NO_POSITIONS
    ) -> Tensor:
        """Average values [B, G, S, K] by weights [B, H, T, S], join the heads -> [B, T, D]."""
        weights = weights.to(values.dtype)
        averages = torch.matmul(self._grouped(weights), values)
        heads = averages.view(*weights.shape[:3], values.size(-1))
        if self.relative is not None and positions.distances is not None:
            heads = heads + self.relative.values(weights, positions.distances)
        return self._joined(heads)

    def _fused(
        self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions
    ) -> Tensor:
        mask = memory.mask
        if positions.bias is not None:
            bias = positions.bias.to(heads.dtype)[None]  # of fewer axes, no kernel takes it
            mask = bias if mask is None else torch.where(mask, bias, float("-inf"))
        context = functional.scaled_dot_product_attention(
            heads,
            memory.keys,
            memory.values,
            attn_mask=mask,
            dropout_p=self.dropout.probability if self.training else 0.0,
            enable_gqa=self.num_kv_heads < self.num_heads,
        )
        return self._joined(context)

    def _can_fuse(self, heads: Tensor) -> bool:
        # On CPUs the fused kernel's backward is slower than the products of short sentences.
        quick = heads.device.type != "cpu" or not torch.is_grad_enabled()
        return quick and self.relative is None  # whose values depend on the distance

    def _is_plain(self, states: Tensor, positions: RelativePositions) -> bool:
        """Return whether queries, keys and values are as projected, and learning on a CPU."""
        if not torch.is_grad_enabled() or not on_cpu(states):
            return False
        changed = self.query_norm is not None or self.relative is not None
        alone = positions.rotation is None and positions.bias is None
        return alone and not changed and self.num_kv_heads == self.num_heads

    def _grouped(self, heads: Tensor) -> Tensor:
        """View [B, H, T, X] as [B, G, H / G · T, X], the rows that read one group side by side."""
        if self.num_kv_heads == self.num_heads:
            return heads
        return heads.unflatten(1, (self.num_kv_heads, -1)).flatten(2, 3)

    def _joined(self, heads: Tensor) -> Tensor:
        """Join heads [B, H, T, K] and project them, [B, T, D]."""
        joined: Tensor = self.output_projection(heads.transpose(1, 2).flatten(2))
        return joined


def _split(states: Tensor, num_heads: int) -> Tensor:
    return states.unflatten(-1, (num_heads, -1)).transpose(1, 2)  # [B, heads, S, K]
