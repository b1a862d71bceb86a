"""Low-rank attention. Legend: B batch, T queries, S keys, H heads, R = k rank, K head size."""

from typing import Any

import torch
from torch import Tensor, nn

from nmt.config.model import TransformerStackConfig
from nmt.kernels.attention.scaled_dot_product import attention, masked_softmax
from nmt.kernels.precision import at_least_float32
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.relative import RelativePositions
from nmt.model.self_attention.kind import KindOfSelfAttention, real_keys

POSITIONS = 1024
"""n: number of columns of E and F. Position i uses column i mod n."""


class LowRankAttention(KindOfSelfAttention):
    """softmax(Q (E K)^T / sqrt(d_k)) · F V with learned E and F, [k, n] (Wang et al. 2020).

    The heads of a layer share E and F ("headwise sharing", section 4). Padded keys and values are
    0. E and F mix all positions, so this kind is only for encoders. `weights` returns softmax(...)
    F, the factor of each value in a context, which may be negative. Cost: O(n · k · d).
    """

    def __init__(self, *args: Any, rank: int, **kwargs: Any) -> None:
        """Project to k = ``rank`` keys and values."""
        super().__init__(*args, **kwargs)
        self.key_length_projection = nn.Parameter(torch.empty(rank, POSITIONS))
        self.value_length_projection = nn.Parameter(torch.empty(rank, POSITIONS))

    @classmethod
    def settings(cls, config: TransformerStackConfig) -> dict[str, Any]:
        """Return k."""
        return {"rank": config.attention_rank}

    def has_weights(self, memory: AttentionMemory) -> bool:
        """Return whether dropout is off: it applies to the softmax, not to the products with F."""
        return not self.dropout.rate

    def weights(
        self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions
    ) -> Tensor:
        """Return softmax(Q (E K)^T / sqrt(d_k)) F, [B, H, T, S]."""
        keys, of_values = self._projected_keys(memory), self._columns(memory, of_keys=False)
        inner = masked_softmax(self.scores(heads, keys), None)
        return torch.matmul(inner, at_least_float32(of_values[:, None]))

    def contexts(
        self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions
    ) -> Tensor:
        """Return the joined contexts [B, T, D] from the projected keys and values."""
        values = torch.matmul(self._columns(memory, of_keys=False)[:, None], memory.values)
        return attention(heads, self._projected_keys(memory), values, None, None, self.dropout.rate)

    def _projected_keys(self, memory: AttentionMemory) -> Tensor:
        """Return E K, [B, G, R, K]."""
        return torch.matmul(self._columns(memory, of_keys=True)[:, None], memory.keys)

    def _columns(self, memory: AttentionMemory, *, of_keys: bool) -> Tensor:
        """Return the columns [B, R, S] of E or F for the keys, 0 for padding."""
        table = self.key_length_projection if of_keys else self.value_length_projection
        columns = torch.arange(memory.keys.size(2), device=memory.keys.device) % POSITIONS
        real = real_keys(memory)
        assert real is not None
        return (table[:, columns] * real[:, None]).type_as(memory.keys)
