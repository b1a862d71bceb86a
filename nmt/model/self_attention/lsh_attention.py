"""Attention by locality-sensitive hashing.

Legend: B batch, T length, H heads, K head size, D model size, R hashes. In search: A sentences, N
beams of each, P slots of keys.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.config.model import TransformerStackConfig
from nmt.kernels.attention.attention_mask import Mask
from nmt.kernels.attention.bucket_attention import (
    OWN_SCORE,
    bucket_attention,
    hash_buckets,
    ranked_buckets,
    visible_pairs,
)
from nmt.kernels.attention.scaled_dot_product import join_heads, masked_softmax, split_heads
from nmt.kernels.precision import at_least_float32
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.relative import NO_POSITIONS, RelativePositions
from nmt.model.attention.rotary import rotate
from nmt.model.layers import Linear
from nmt.model.self_attention.kind import (
    KindOfSelfAttention,
    is_causal,
    is_search,
    real_keys,
)


class LshAttention(KindOfSelfAttention):
    """A query attends to the keys of its bucket, h(x) = argmax([x W; -x W]), W random.

    Kitaev et al. 2020, section 2: queries and keys share a projection. A key is k = q / |q|, and
    the scores are q · k / sqrt(d_k). With several hashes (multi-round), a query attends to the
    union of its buckets, and to itself only if there is no other key. Within a bucket, it attends
    to its chunk and the previous one; see `nmt.kernels.attention.bucket_attention`. Cost:
    O(n · log n · d).
    """

    rotations: Tensor

    def __init__(self, *args: Any, chunk: int, buckets: int, hashes: int, **kwargs: Any) -> None:
        """Hash ``hashes`` = R times into ``buckets``, an even number."""
        super().__init__(*args, **kwargs)
        size = self.query_projection.out_features
        self.chunk = chunk
        self.key_value_projection = None  # type: ignore[assignment]
        self.value_projection = Linear(size, size)
        shape = hashes, size // self.num_heads, buckets // 2
        self.register_buffer("rotations", torch.ones(shape))
        self.draw()

    @classmethod
    def settings(cls, config: TransformerStackConfig) -> dict[str, Any]:
        """Return the length of a chunk, the buckets and the hashes."""
        return {
            "chunk": config.attention_block,
            "buckets": config.attention_buckets,
            "hashes": config.attention_hashes,
        }

    def draw(self) -> None:
        """Draw the random matrices W; the checkpoint contains them."""
        self.rotations = nn.init.normal_(torch.empty_like(self.rotations))

    def build_memory(
        self, states: Tensor, mask: Mask | None, positions: RelativePositions = NO_POSITIONS
    ) -> AttentionMemory:
        """Project states [B, T, D] to keys of unit length and values, [B, H, T, K]."""
        shared = split_heads(self.query_projection(states), self.num_heads)
        exact = at_least_float32(rotate(shared, positions.rotation))
        keys = functional.normalize(exact, dim=-1).type_as(shared)
        values = split_heads(self.value_projection(states), self.num_heads)
        return AttentionMemory(keys, values, mask)

    def weights(
        self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions
    ) -> Tensor:
        """Return the softmax over the union of the buckets, [B, H, T, S]."""
        if is_search(memory):
            return self._step(heads, memory, positions)
        causal = is_causal(memory)
        found = ranked_buckets(memory.keys, self.rotations, real_keys(memory))
        visible = visible_pairs(found, self.chunk, causal=causal) > 0
        steps = torch.arange(heads.size(2), device=heads.device)
        own = steps[:, None] == steps  # of bools, so that the score is a float32
        return masked_softmax(self.scores(heads, memory.keys) + OWN_SCORE * own, visible)

    def contexts(
        self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions
    ) -> Tensor:
        """Return the joined contexts [B, T, D], in chunks if that needs fewer pairs."""
        if is_search(memory) or self._is_short(heads.size(2)) or self.dropout.rate:
            weights = self.dropout(self.weights(heads, memory, positions))
            return join_heads(weights.type_as(memory.values) @ memory.values)
        found = ranked_buckets(memory.keys, self.rotations, real_keys(memory))
        contexts = bucket_attention(
            heads, memory.keys, memory.values, found, self.chunk, causal=is_causal(memory)
        )
        return join_heads(contexts)

    def _is_short(self, length: int) -> bool:
        """Return whether the chunks would have at least as many pairs as the sentence."""
        hashes, _, half = self.rotations.shape
        slots = length + (2 * half + 1) * self.chunk
        return length**2 <= hashes * slots * 2 * self.chunk

    def _step(self, heads: Tensor, memory: AttentionMemory, positions: RelativePositions) -> Tensor:
        """Return the weights [A, H, N, P] of beams [A, H, N, K] for all slots of keys."""
        assert positions.in_step is not None
        now, earlier = positions.in_step
        scores = self.scores(heads, memory.keys)
        path = torch.ones_like(scores[:, :1]) > 0  # [A, 1, N, P], the past of each beam
        if memory.mask is not None:
            assert isinstance(memory.mask, Tensor)
            path = memory.mask == 0
        own = (earlier == now) & path
        theirs = hash_buckets(memory.keys, self.rotations)[..., None, :]  # [A, H, R, 1, P]
        # The bucket of the query's own key. The query's hash could differ because of rounding.
        mine = theirs.masked_fill(~own[:, :, None], -1).amax(-1, keepdim=True)  # [A, H, R, N, 1]
        same = (mine == theirs) & path[:, :, None]
        ranks = same.cumsum(-1)
        chunks = (ranks - 1).clamp_min(0) // self.chunk
        own_chunk = (ranks[..., -1:] - 1) // self.chunk
        visible = (same & (own_chunk - chunks <= 1)).any(2)
        return masked_softmax(scores + OWN_SCORE * own, visible)
