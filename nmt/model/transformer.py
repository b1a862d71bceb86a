"""Transformer encoder and decoder (Vaswani et al. 2017).

Legend: B batch, S source length, T target length, D model size, H heads, K head size, L layers.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.config.model import TransformerDecoderConfig, TransformerEncoderConfig
from nmt.model.attention.core import AttentionMemory
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.relative import (
    Alibi,
    NoRelativePositions,
    RelativePositions,
    RelativeScheme,
    RelativeVectors,
    Rotary,
    ShawDistances,
    T5Bias,
)
from nmt.model.dropout import Dropout
from nmt.model.feed_forward import FeedForward
from nmt.model.interfaces import Decoder, DecoderOutput, DecoderState, Encoder, EncoderOutput
from nmt.model.linear import on_cpu, product_type
from nmt.model.modules import Modules
from nmt.model.norm import RmsNorm
from nmt.model.positions import PositionedEmbedding
from nmt.model.recompute import recomputed
from nmt.model.structured_dropout import LayerDrop

LayerConfig = TransformerEncoderConfig | TransformerDecoderConfig


def _norm(config: LayerConfig) -> nn.Module:
    """Layer normalisation (Ba et al. 2016) or by the root mean square (Zhang & Sennrich 2019)."""
    if config.norm_type == "rms":
        return RmsNorm(config.hidden_size)
    return nn.LayerNorm(config.hidden_size)


def _last_norm(config: LayerConfig) -> nn.Module:
    """Behind the last layer: pre-norm leaves the residual stream unnormalised."""
    return _norm(config) if config.norm == "pre" else nn.Identity()


def _relative_scheme(config: LayerConfig, *, causal: bool) -> RelativeScheme:
    match config.positions:
        case "relative":
            return ShawDistances()
        case "t5_bias":
            return T5Bias(config.num_heads, causal=causal)
        case "rotary":
            return Rotary(config.hidden_size // config.num_heads)
        case "alibi":
            return Alibi(config.num_heads)
    return NoRelativePositions()


class Residual(nn.Module):
    """Wraps a sublayer with dropout, a residual connection and layer normalisation.

    ``post``: norm(x + sublayer(x)), section 3.1. ``pre``: x + sublayer(norm(x)), Xiong et al. 2020.
    """

    def __init__(self, config: LayerConfig) -> None:
        """Prepare one sublayer's wrapping."""
        super().__init__()
        self.norm = _norm(config)
        self.dropout = Dropout(config.dropout)
        self.norm_first = config.norm == "pre"

    def before(self, states: Tensor) -> Tensor:
        """Return the sublayer's input [B, T, D]; on a CPU in the type of products, made once."""
        inputs: Tensor = self.norm(states) if self.norm_first else states
        return inputs.to(product_type(inputs)) if on_cpu(inputs) else inputs

    def after(self, states: Tensor, change: Tensor) -> Tensor:
        """Join the sublayer's result to the residual stream, [B, T, D]."""
        joined = states + self.dropout(change)
        return joined if self.norm_first else self.norm(joined)


def _attention(
    config: LayerConfig, memory_size: int, relative: RelativeVectors | None = None
) -> MultiHeadAttention:
    return MultiHeadAttention(
        config.hidden_size,
        memory_size,
        config.num_heads,
        config.attention_dropout,
        num_kv_heads=config.num_kv_heads,
        qk_norm=config.qk_norm,
        relative=relative,
    )


def _self_attention(config: LayerConfig) -> MultiHeadAttention:
    shaw = config.positions == "relative"
    vectors = RelativeVectors(config.hidden_size // config.num_heads) if shaw else None
    return _attention(config, config.hidden_size, vectors)


class TransformerEncoderLayer(nn.Module):
    """Self-attention, then feed-forward."""

    def __init__(self, config: TransformerEncoderConfig) -> None:
        """Build one layer."""
        super().__init__()
        self.self_attention = _self_attention(config)
        self.feed_forward = FeedForward(config)
        self.residuals = Modules[Residual](Residual(config) for _ in range(2))

    def forward(self, states: Tensor, mask: Tensor, positions: RelativePositions) -> Tensor:
        """Transform states [B, S, D] under a mask broadcastable to [B, H, S, S]."""
        attend, feed = self.residuals
        inputs = attend.before(states)
        memory = self.self_attention.memory(inputs, mask, positions)
        seen = self.self_attention(inputs, memory, need_weights=False, positions=positions)
        states = attend.after(states, seen.context)
        return feed.after(states, self.feed_forward(feed.before(states)))


class TransformerEncoder(Encoder):
    """A stack of self-attention layers over positioned embeddings."""

    def __init__(self, config: TransformerEncoderConfig, vocab_size: int) -> None:
        """Build the stack for a vocabulary."""
        super().__init__()
        self.output_size = config.hidden_size
        self.embedding = nn.Embedding(vocab_size, config.hidden_size)
        self.positioned = PositionedEmbedding(self.embedding, config.positions, config.word_dropout)
        self.dropout = Dropout(config.dropout)
        self.relative = _relative_scheme(config, causal=False)
        self.layers = Modules[TransformerEncoderLayer](
            TransformerEncoderLayer(config) for _ in range(config.num_layers)
        )
        self.norm = _last_norm(config)
        self.layer_drop = LayerDrop(config.layer_drop)
        self.recompute = False  # see `recompute_layers`

    def forward(self, source_ids: Tensor, source_mask: Tensor) -> EncoderOutput:
        """Read ids [B, S]; the summary is the mean of the states."""
        states = self.dropout(self.positioned(source_ids))
        positions = self.relative(0, source_ids.size(1), source_ids.device)
        for layer in self.layers:
            if self.layer_drop():
                continue
            run = recomputed(layer, self.recompute)
            states = run(states, source_mask[:, None, None, :], positions)
        states = self.norm(states)
        real = source_mask[:, :, None].to(states.dtype)
        return EncoderOutput(states, source_mask, (states * real).sum(1) / real.sum(1))


class TransformerDecoderLayer(nn.Module):
    """Self-attention over what is written, cross-attention to the source, feed-forward."""

    def __init__(self, config: TransformerDecoderConfig, memory_size: int) -> None:
        """Build one layer that reads encoder states of ``memory_size``."""
        super().__init__()
        self.self_attention = _self_attention(config)
        self.cross_attention = _attention(config, memory_size)
        self.feed_forward = FeedForward(config)
        self.residuals = Modules[Residual](Residual(config) for _ in range(3))

    def forward(
        self,
        states: Tensor,
        past: AttentionMemory | None,
        mask: Tensor | None,
        positions: RelativePositions,
        source: AttentionMemory,
        *,
        need_weights: bool,
    ) -> tuple[Tensor, AttentionMemory, Tensor | None]:
        """Transform states [B, T, D].

        Args:
            states: The new positions.
            past: Keys and values of the positions before, while decoding.
            mask: The causal mask [T, T] in training; None when T is 1.
            positions: Where the new positions and those before them stand.
            source: The cross-attention's memory.
            need_weights: Whether cross-attention weights are returned.

        Returns:
            New states, self-attention's memory with the new positions, weights [B, H, T, S].
        """
        look_back, look_across, feed = self.residuals
        inputs = look_back.before(states)
        written = self.self_attention.memory(inputs, mask, positions)
        if past is not None:
            written = past.extended(written.keys, written.values)
        back = self.self_attention(inputs, written, need_weights=False, positions=positions)
        states = look_back.after(states, back.context)
        across = self.cross_attention(look_across.before(states), source, need_weights=need_weights)
        states = look_across.after(states, across.context)
        return feed.after(states, self.feed_forward(feed.before(states))), written, across.weights


@dataclass(frozen=True)
class TransformerState(DecoderState):
    """Cached keys and values: of the pieces written so far, and of the source."""

    written: tuple[AttentionMemory, ...] | None
    source: tuple[AttentionMemory, ...]
    position: int

    def select(self, rows: Tensor) -> "TransformerState":
        """Return the caches of these rows."""
        written = None if self.written is None else _select(self.written, rows)
        return TransformerState(written, _select(self.source, rows), self.position)


def _select(memories: Sequence[AttentionMemory], rows: Tensor) -> tuple[AttentionMemory, ...]:
    return tuple(memory.select(rows) for memory in memories)


class TransformerDecoder(Decoder):
    """A stack of self- and cross-attention layers; L = all of them, H = their heads."""

    attends = True

    def __init__(self, config: TransformerDecoderConfig, vocab_size: int, memory_size: int) -> None:
        """Build the stack for a vocabulary and an encoder of ``memory_size``."""
        super().__init__()
        self.output_size = config.hidden_size
        self.embedding = nn.Embedding(vocab_size, config.hidden_size)
        self.positioned = PositionedEmbedding(self.embedding, config.positions, config.word_dropout)
        self.dropout = Dropout(config.dropout)
        self.relative = _relative_scheme(config, causal=True)
        self.layers = Modules[TransformerDecoderLayer](
            TransformerDecoderLayer(config, memory_size) for _ in range(config.num_layers)
        )
        self.norm = _last_norm(config)
        self.layer_drop = LayerDrop(config.layer_drop)
        self.recompute = False  # see `recompute_layers`

    def start(self, encoder_output: EncoderOutput) -> TransformerState:
        """Project the source for every layer's cross-attention."""
        mask = encoder_output.mask[:, None, None, :]
        source = tuple(
            layer.cross_attention.memory(encoder_output.states, mask) for layer in self.layers
        )
        return TransformerState(None, source, 0)

    def step(
        self, previous_ids: Tensor, state: DecoderState, *, need_weights: bool
    ) -> tuple[DecoderOutput, TransformerState]:
        """Advance by one piece, attending to the cached ones."""
        assert isinstance(state, TransformerState)
        output, state = self._run(previous_ids[:, None], state, None, need_weights=need_weights)
        weights = None if output.weights is None else output.weights[:, :, :, 0]
        return DecoderOutput(output.hidden[:, 0], weights), state

    def forward(
        self, target_input_ids: Tensor, encoder_output: EncoderOutput, *, need_weights: bool
    ) -> DecoderOutput:
        """Read known targets at once, each position seeing only those before it."""
        length = target_input_ids.size(1)
        causal = torch.ones(length, length, dtype=torch.bool, device=target_input_ids.device).tril()
        state = self.start(encoder_output)
        dropped = {index for index in range(len(self.layers)) if self.layer_drop()}
        return self._run(target_input_ids, state, causal, dropped, need_weights=need_weights)[0]

    def _run(
        self,
        ids: Tensor,
        state: TransformerState,
        mask: Tensor | None,
        dropped: Collection[int] = (),
        *,
        need_weights: bool,
    ) -> tuple[DecoderOutput, TransformerState]:
        states = self.dropout(self.positioned(ids, state.position))
        positions = self.relative(state.position, ids.size(1), ids.device)
        written, weights = [], []
        for index, layer in enumerate(self.layers):
            if index in dropped:  # it looks at nothing, which no loss on weights minds
                heads, length = layer.cross_attention.num_heads, state.source[index].keys.size(-2)
                weights.append(states.new_zeros(len(ids), heads, ids.size(1), length))
                continue
            past = None if state.written is None else state.written[index]
            run = recomputed(layer, self.recompute)
            states, memory, seen = run(
                states,
                past,
                mask,
                positions,
                state.source[index],
                need_weights=need_weights,
            )
            written.append(memory)
            weights.append(seen)
        output = DecoderOutput(
            self.norm(states), torch.stack(weights, dim=1) if need_weights else None
        )
        return output, TransformerState(tuple(written), state.source, state.position + ids.size(1))
