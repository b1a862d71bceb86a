"""Linear attention. Legend: B batch, T length, H heads, G heads of keys, F features, K head size.

In search: A sentences, N beams of each.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nmt.kernels.attention.attention_mask import AttentionMask, Mask
from nmt.kernels.attention.feature_attention import divided, feature_attention, feature_weights
from nmt.kernels.attention.scaled_dot_product import grouped_product, join_heads
from nmt.kernels.precision import at_least_float32
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.relative import NO_POSITIONS, RelativePositions
from nmt.model.self_attention.constant_memory import SummedMemory, SumMemory
from nmt.model.self_attention.kind import KindOfSelfAttention, is_causal, real_keys
from nmt.model.self_attention.target_memory import TargetMemory


class FeatureAttention(KindOfSelfAttention):
    """Weights φ(q_t) · φ(k_s) / sum over s' of φ(q_t) · φ(k_s'); subclasses define the features φ.

    Katharopoulos et al. 2020, eq. 4. All queries use the same sums over s, so the cost is O(n · F ·
    d). In search, the sums are the state of a recurrent network (eq. 18 to 20).
    """

    @property
    @abstractmethod
    def num_features(self) -> int:
        """F."""

    @abstractmethod
    def features(self, heads: Tensor, *, of_keys: bool) -> Tensor:
        """Return φ >= 0, [B, H or G, T, F], of queries or keys [B, H or G, T, K]."""

    def build_memory(
        self, states: Tensor, mask: Mask | None, positions: RelativePositions = NO_POSITIONS
    ) -> AttentionMemory:
        """Project states [B, T, D] to features of keys [B, G, T, F] and values [B, G, T, K]."""
        memory = super().build_memory(states, mask, positions)
        return replace(memory, keys=self.features(memory.keys, of_keys=True))

    def start_memory(self, source: Sequence[AttentionMemory], position: Tensor) -> TargetMemory:
        """Return sums of 0, before the first target piece."""
        return SumMemory.of(source, position, self.num_features)

    def weights(
        self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions
    ) -> Tensor:
        """Return the weights [B, H, T, S] of sentences; a step of search has no keys."""
        assert isinstance(memory.mask, AttentionMask)
        queries = self.features(heads, of_keys=False)
        return feature_weights(queries, memory.keys, memory.mask.allowed)

    def context(self, weights: Tensor, values: Tensor, *args: Any) -> Tensor:
        """Average in float32 or float64, as the fast form does."""
        return super().context(at_least_float32(weights), values, *args)

    def contexts(
        self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions
    ) -> Tensor:
        """Return the joined contexts [B, T, D] from sums over the keys."""
        queries = self.features(heads, of_keys=False)
        if isinstance(memory, SummedMemory):
            return self._step(queries, memory)
        causal, real = is_causal(memory), real_keys(memory)
        return join_heads(
            feature_attention(queries, memory.keys, memory.values, real, causal=causal)
        )

    def has_weights(self, memory: AttentionMemory) -> bool:
        """Return False for a step of search, which has only sums."""
        return not isinstance(memory, SummedMemory)

    def _step(self, queries: Tensor, memory: SummedMemory) -> Tensor:
        """Return the contexts [A, N, D] of beams with features [A, H, N, F] (eq. 20)."""
        assert memory.sums is not None
        rows = at_least_float32(queries).transpose(1, 2).flatten(0, 1)[:, :, None]
        sums = grouped_product(rows, memory.sums.flatten(0, 1))  # [A · N, H, 1, K + 1]
        return divided(sums).flatten(1).view(len(queries), queries.size(2), -1)


class LinearAttention(FeatureAttention):
    """φ(x) = elu(x) + 1 for each unit (Katharopoulos et al. 2020, eq. 7). Cost: O(n · d²)."""

    @property
    def num_features(self) -> int:
        """F = K, the head size."""
        return self.query_projection.out_features // self.num_heads

    def features(self, heads: Tensor, *, of_keys: bool) -> Tensor:
        """Return elu(x) + 1 in float32 or float64; for x < 0, as exp(x), to keep digits."""
        exact = at_least_float32(heads)
        return torch.where(exact > 0, exact + 1, exact.clamp_max(0).exp())
