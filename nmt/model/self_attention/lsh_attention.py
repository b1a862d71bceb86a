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
    visible_in_step,
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
        pairs = self._step_pairs if is_search(memory) else self._sentence_pairs
        visible, own = pairs(memory, positions)
        # ``own`` is of bools, so the term is a float32: -10^5 is beyond the range of float16.
        return masked_softmax(self.scores(heads, memory.keys) + OWN_SCORE * own, visible)

    def _sentence_pairs(
        self, memory: AttentionMemory, positions: RelativePositions
    ) -> tuple[Tensor, Tensor]:
        """Return which pairs of a sentence share a bucket, [B, H, T, T], and which are own keys."""
        found = ranked_buckets(memory.keys, self.rotations, real_keys(memory))
        visible = visible_pairs(found, self.chunk, causal=is_causal(memory)) > 0
        steps = torch.arange(memory.keys.size(2), device=memory.keys.device)
        return visible, steps[:, None] == steps

    def _step_pairs(
        self, memory: AttentionMemory, positions: RelativePositions
    ) -> tuple[Tensor, Tensor]:
        """Return which beams and keys share a bucket, [A, H, N, P], and which keys are own keys."""
        assert positions.in_step is not None
        now, earlier = positions.in_step
        past = torch.ones_like(earlier)[None, None, None] > 0  # [1, 1, 1, P]
        if memory.mask is not None:
            assert isinstance(memory.mask, Tensor)
            past = memory.mask == 0  # [A, 1, N, P]
        own = (earlier == now) & past
        buckets = hash_buckets(memory.keys, self.rotations)
        return visible_in_step(buckets, own, past, self.chunk), own

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
