"""Transformer encoder and decoder (Vaswani et al. 2017).

Legend: B batch, S source length, T target length, D model size, H heads, K head size, L layers. In
search: A sentences, N beams of each.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nmt.config.model import (
    Positions,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    TransformerStackConfig,
)
from nmt.data.batches.packing import Packing
from nmt.kernels.attention.attention_mask import AttentionMask, Mask, SentenceMask
from nmt.model.adaptive_depth import DepthUse, stack_depth
from nmt.model.attention.alibi import Alibi
from nmt.model.attention.gated import GatedCrossAttention
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.relative import (
    NoRelativePositions,
    RelativePositions,
    RelativeScheme,
)
from nmt.model.attention.rotary import Rotary
from nmt.model.attention.shaw import ShawDistances
from nmt.model.attention.t5_bias import T5Bias
from nmt.model.interfaces import Decoder, DecoderOutput, DecoderState, Encoder, EncoderOutput
from nmt.model.layers import Dropout, Modules
from nmt.model.self_attention.kind import KindOfSelfAttention
from nmt.model.self_attention.target_memory import GrowingMemory
from nmt.model.structured_dropout import LayerDrop
from nmt.model.transformer.chosen_tokens import for_tokens
from nmt.model.transformer.positions import PositionedEmbedding
from nmt.model.transformer.recompute import recomputed
from nmt.model.transformer.residual import last_norm
from nmt.model.transformer.transformer_layers import (
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)
from nmt.model.transformer.transformer_state import TransformerState


def _relative_scheme(config: TransformerStackConfig, *, causal: bool) -> RelativeScheme:
    match config.positions:
        case Positions.RELATIVE:
            return ShawDistances()
        case Positions.T5_BIAS:
            return T5Bias(config.num_heads, causal=causal)
        case Positions.ROTARY:
            return Rotary(config.hidden_size // config.num_heads)
        case Positions.ALIBI:
            return Alibi(config.num_heads)
    return NoRelativePositions()


class TransformerEncoder(Encoder):
    """A stack of self-attention layers over embeddings with positions."""

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
        self.norm = last_norm(config)
        self.layer_drop = LayerDrop(config.layer_drop)
        self.depth = stack_depth(config, config.hidden_size, config.num_layers)
        self.recompute = False  # see `recompute_layers`

    def forward(
        self, source_ids: Tensor, source_mask: Tensor, source_lengths: Tensor | None = None
    ) -> EncoderOutput:
        """Read ids [B, S]; the summary is the mean of the states."""
        steps = torch.arange(source_ids.size(1), device=source_ids.device)
        positions = self.relative(steps, steps)
        mask = AttentionMask(source_mask[:, None, None, :])
        states, depth = self._run(self.positioned(source_ids), mask, positions, source_mask)
        real = source_mask[:, :, None].type_as(states)
        return EncoderOutput(states, source_mask, (states * real).sum(1) / real.sum(1), depth=depth)

    def read_packed(self, source_ids: Tensor, packing: Packing) -> Tensor:
        """Read the sentences of a packed row; see `Encoder.read_packed`."""
        positions, longest = packing.source_positions, packing.longest_source
        offsets = packing.source_offsets
        embedded = self.positioned.at(source_ids, positions, longest)
        mask = SentenceMask(offsets, offsets, longest, longest)
        states, _ = self._run(embedded, mask, self.relative.at(positions))
        return states

    def _run(
        self,
        embedded: Tensor,
        mask: Mask | None,
        positions: RelativePositions,
        real: Tensor | None = None,
    ) -> tuple[Tensor, DepthUse | None]:
        """Run the layers that LayerDrop does not skip, on tokens that have not halted."""
        states = self.dropout(embedded)
        run = self.depth.begin(states, real)
        for layer in self.layers:
            if self.layer_drop():
                continue
            run_layer = recomputed(for_tokens(layer, run.rows), self.recompute)
            states = run_layer(states, mask, positions)
            states, _ = run.after(states, None)
        return self.norm(run.result(states)), run.use


class TransformerDecoder(Decoder):
    """A stack of layers with self- and cross-attention.

    It returns the weights [B, L, H, T, S] of the cross-attention of all L layers.
    """

    attends = True

    def __init__(
        self,
        config: TransformerDecoderConfig,
        vocab_size: int,
        memory_size: int,
        region_size: int | None = None,
    ) -> None:
        """Build the stack for a vocabulary and an encoder of ``memory_size``.

        With a ``region_size``, every layer also attends to region states of this size.
        """
        super().__init__()
        self.output_size = config.hidden_size
        self.embedding = nn.Embedding(vocab_size, config.hidden_size)
        self.positioned = PositionedEmbedding(self.embedding, config.positions, config.word_dropout)
        self.dropout = Dropout(config.dropout)
        self.relative = _relative_scheme(config, causal=True)
        self.layers = Modules[TransformerDecoderLayer](
            TransformerDecoderLayer(config, memory_size, region_size)
            for _ in range(config.num_layers)
        )
        self.norm = last_norm(config)
        self.layer_drop = LayerDrop(config.layer_drop)
        self.depth = stack_depth(config, config.hidden_size, config.num_layers)
        self.recompute = False  # see `recompute_layers`

    def start(self, encoder_output: EncoderOutput) -> TransformerState:
        """Compute the keys and values of the source for the cross-attention of every layer."""
        # All steps and layers share one additive mask.
        source = tuple(memory.for_search() for memory in self._source(encoder_output))
        position = encoder_output.mask.new_zeros(1, dtype=torch.long)
        attention = self.layers[0].self_attention
        if isinstance(attention, KindOfSelfAttention):
            return TransformerState(source, attention.start_memory(source, position))
        return TransformerState(source, GrowingMemory.of(source, position))

    def step(
        self, previous_ids: Tensor, state: DecoderState, *, need_weights: bool
    ) -> tuple[DecoderOutput, TransformerState]:
        """Read one piece per hypothesis and attend to earlier pieces; see `Decoder.step`."""
        assert isinstance(state, TransformerState)
        target = state.target.open()
        ids = previous_ids.unflatten(0, (len(state.source[0].keys), -1))  # [A, N]
        states = self.dropout(self.positioned(ids, target.position, target.slots))
        now, keys = target.position, target.key_positions
        positions = replace(self.relative(now, keys), in_step=(now, keys))
        weights: list[Any] = []
        run = self.depth.begin(states)
        for index, (layer, source) in enumerate(zip(self.layers, state.source, strict=True)):
            extend = partial(target.write, index)
            run_layer = for_tokens(layer, run.rows)
            results = run_layer(states, extend, None, positions, source, need_weights=need_weights)
            states, layer_weights = run.after(*results)
            weights.append(layer_weights)
        hidden = self.norm(run.result(states)).flatten(0, 1)
        joined = None
        if need_weights:  # ``weights`` are L times [A, H, N, S]
            joined = torch.stack(weights, dim=1).permute(0, 3, 1, 2, 4).flatten(0, 1)
        return DecoderOutput(hidden, joined), replace(state, target=target.close())

    def forward(
        self, target_input_ids: Tensor, encoder_output: EncoderOutput, *, need_weights: bool
    ) -> DecoderOutput:
        """Read known targets at once; a position attends to itself and to previous positions."""
        # The mask also hides padding from real positions, because padding comes last.
        mask = AttentionMask.causal(target_input_ids.size(1), target_input_ids.device)
        embedded = self.positioned(target_input_ids)
        return self._read(embedded, mask, self._source(encoder_output), need_weights=need_weights)

    def _read(
        self,
        embedded: Tensor,
        mask: AttentionMask,
        sources: Sequence[AttentionMemory],
        *,
        need_weights: bool,
    ) -> DecoderOutput:
        """Run all layers on embedded targets [B, T, D] with a mask of self-attention."""
        steps = torch.arange(embedded.size(1), device=embedded.device)
        skipped = {index for index in range(len(self.layers)) if self.layer_drop()}
        states = self.dropout(embedded)
        positions = self.relative(steps, steps)
        weights: list[Any] = []
        depth = self.depth.begin(states)
        for index, (layer, source) in enumerate(zip(self.layers, sources, strict=True)):
            if index in skipped:  # losses on attention ignore weights of 0
                shape = len(states), layer.cross_attention.num_heads, len(steps)
                weights.append(states.new_zeros(*shape, source.width))
                continue
            run_layer = recomputed(for_tokens(layer, depth.rows), self.recompute)
            results = run_layer(states, None, mask, positions, source, need_weights=need_weights)
            states, layer_weights = depth.after(*results)
            weights.append(layer_weights)
        joined = torch.stack(weights, dim=1) if need_weights else None
        return DecoderOutput(self.norm(depth.result(states)), joined, depth.use)

    def read_packed(self, target_input_ids: Tensor, states: Tensor, packing: Packing) -> Tensor:
        """Read the known targets of a packed row; see `Decoder.read_packed`."""
        source, target = packing.source_offsets, packing.target_offsets
        longest = packing.longest_target
        within = SentenceMask(target, target, longest, longest, causal=True)
        across = SentenceMask(target, source, longest, packing.longest_source)
        places = packing.target_positions
        hidden = self.dropout(self.positioned.at(target_input_ids, places, longest))
        positions = self.relative.at(places)
        for layer in self.layers:
            if self.layer_drop():
                continue
            memory = layer.cross_attention.build_memory(states, across)
            run = recomputed(layer, self.recompute)
            hidden, _ = run(hidden, None, within, positions, memory, need_weights=False)
        return self.norm(hidden)

    def _source(
        self, encoder_output: EncoderOutput, mask: AttentionMask | None = None
    ) -> tuple[AttentionMemory, ...]:
        """Return the memories of all layers. The default mask is that of the encoder."""
        if mask is None:
            mask = AttentionMask(encoder_output.mask[:, None, None, :])
        text, regions = (encoder_output.states, mask), encoder_output.regions
        attentions = [layer.cross_attention for layer in self.layers]
        if regions is None:
            return tuple(one.build_memory(*text) for one in attentions)
        beside = regions.values, AttentionMask(regions.mask[:, None, None, :])
        gated = (one for one in attentions if isinstance(one, GatedCrossAttention))
        return tuple(one.build_double_memory(text, beside) for one in gated)
