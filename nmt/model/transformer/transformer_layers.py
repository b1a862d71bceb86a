"""The layers of a Transformer encoder and decoder (Vaswani et al. 2017, section 3.1).

`chosen_tokens` computes the layers for some of the tokens.

Legend: B batch, S source length, T target length, D model size, H heads. In search: A sentences, N
beams of each.
"""

from collections.abc import Callable

from torch import Tensor, nn

from nmt.config.model import (
    Positions,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    TransformerStackConfig,
)
from nmt.config.self_attention import SelfAttention
from nmt.kernels.attention.attention_mask import Mask
from nmt.model.attention.gated import GatedCrossAttention
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.relative import RelativePositions
from nmt.model.attention.shaw import ShawAttention
from nmt.model.attention.stack_attention import stack_attention
from nmt.model.layers import Modules
from nmt.model.self_attention.kinds import KINDS
from nmt.model.transformer.position_wise import FeedForward
from nmt.model.transformer.residual import Residual


def _cross_attention(
    config: TransformerDecoderConfig, memory_size: int, region_size: int | None
) -> MultiHeadAttention | GatedCrossAttention:
    text = stack_attention(MultiHeadAttention, config, memory_size)
    if region_size is None:
        return text
    of_regions = stack_attention(MultiHeadAttention, config, region_size)
    return GatedCrossAttention(text, of_regions, config.hidden_size)


def _self_attention(config: TransformerStackConfig) -> MultiHeadAttention:
    if config.self_attention != SelfAttention.FULL:
        return KINDS[SelfAttention(config.self_attention)].of(config)
    kind = ShawAttention if config.positions == Positions.RELATIVE else MultiHeadAttention
    return stack_attention(kind, config)


class TransformerEncoderLayer(nn.Module):
    """Self-attention, then feed-forward."""

    def __init__(self, config: TransformerEncoderConfig) -> None:
        """Build one layer."""
        super().__init__()
        self.self_attention = _self_attention(config)
        self.feed_forward = FeedForward(config)
        self.residuals = Modules[Residual](Residual(config) for _ in range(2))

    def forward(self, states: Tensor, mask: Mask | None, positions: RelativePositions) -> Tensor:
        """Transform states [B, S, D]; the mask is broadcastable to [B, H, S, S]."""
        attention_residual, feed_residual = self.residuals
        inputs = attention_residual.before(states)
        memory = self.self_attention.build_memory(inputs, mask, positions)
        attended = self.self_attention(inputs, memory, need_weights=False, positions=positions)
        states = attention_residual.after(states, attended.context)
        return feed_residual.after(states, self.feed_forward(feed_residual.before(states)))


Extend = Callable[[AttentionMemory], AttentionMemory]
"""Adds new keys and values to those of earlier target positions."""


class TransformerDecoderLayer(nn.Module):
    """Self-attention to the pieces so far, cross-attention to the source, feed-forward."""

    def __init__(
        self, config: TransformerDecoderConfig, memory_size: int, region_size: int | None = None
    ) -> None:
        """Build one layer for encoder states of ``memory_size``, and for regions if they exist."""
        super().__init__()
        self.self_attention = _self_attention(config)
        self.cross_attention = _cross_attention(config, memory_size, region_size)
        self.feed_forward = FeedForward(config)
        self.residuals = Modules[Residual](Residual(config) for _ in range(3))

    def forward(
        self,
        states: Tensor,
        extend: Extend | None,
        mask: Mask | None,
        positions: RelativePositions,
        source: AttentionMemory,
        *,
        need_weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """Transform states [B, T, D], in search [A, N, D].

        Args:
            states: T target positions in training, N beams at one position in search.
            extend: In search, adds new keys and values to those of earlier target positions.
            mask: The mask of self-attention in training, e.g. [T, T] causal, or of a packed row.
            positions: Positions of queries and keys of self-attention.
            source: Keys and values of the source, for cross-attention.
            need_weights: Whether to return the weights of cross-attention.

        Returns:
            The new states; the weights of cross-attention, [B, H, T, S], or None.
        """
        self_residual, cross_residual, feed_residual = self.residuals
        inputs = self_residual.before(states)
        memory = self.self_attention.build_memory(inputs, mask, positions)
        if extend is not None:
            memory = extend(memory)
        attended = self.self_attention(inputs, memory, need_weights=False, positions=positions)
        states = self_residual.after(states, attended.context)
        queries = cross_residual.before(states)
        attended = self.cross_attention(queries, source, need_weights=need_weights)
        states = cross_residual.after(states, attended.context)
        states = feed_residual.after(states, self.feed_forward(feed_residual.before(states)))
        return states, attended.weights
