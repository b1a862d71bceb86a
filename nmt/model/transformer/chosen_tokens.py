"""The layers of a Transformer, computed for some of the tokens; the others have halted.

All tokens attend to the keys and values of all tokens. So each function below computes these for
all tokens, and the rest of the formula of `transformer_layers` only for the chosen tokens. It does
not change the states of the other tokens.

Legend: B batch, T length, S keys, D model size, H heads, R chosen tokens.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from nmt.kernels.attention.attention_mask import Mask
from nmt.kernels.chosen_rows import ChosenRows
from nmt.model.attention.double_memory import text_and_regions
from nmt.model.attention.gated import GatedCrossAttention
from nmt.model.attention.memory import AttentionMemory, AttentionOutput
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.relative import NO_POSITIONS, RelativePositions
from nmt.model.transformer.transformer_layers import (
    Extend,
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)


def for_tokens(
    layer: TransformerEncoderLayer | TransformerDecoderLayer, rows: ChosenRows | None
) -> Callable[..., Any]:
    """Return a function like the layer that computes only these tokens; None: the layer."""
    if rows is None:
        return layer
    if isinstance(layer, TransformerEncoderLayer):
        return partial(_encoder_layer, layer, rows)
    return partial(_decoder_layer, layer, rows)


def _encoder_layer(
    layer: TransformerEncoderLayer,
    rows: ChosenRows,
    states: Tensor,
    mask: Mask | None,
    positions: RelativePositions,
) -> Tensor:
    """Compute `TransformerEncoderLayer.forward` for these tokens."""
    if rows.none:
        return states
    attention_residual, feed_residual = layer.residuals
    inputs = attention_residual.before(states)
    memory = layer.self_attention.build_memory(inputs, mask, positions)
    attended = _attend(layer.self_attention, rows, rows.pick(inputs), memory, positions, False)
    new = attention_residual.after(rows.pick(states), attended.context)
    new = feed_residual.after(new, layer.feed_forward(feed_residual.before(new)))
    return rows.put(states, new)


def _decoder_layer(
    layer: TransformerDecoderLayer,
    rows: ChosenRows,
    states: Tensor,
    extend: Extend | None,
    mask: Mask | None,
    positions: RelativePositions,
    source: AttentionMemory,
    *,
    need_weights: bool,
) -> tuple[Tensor, Tensor | None]:
    """Compute `TransformerDecoderLayer.forward` for these tokens."""
    self_residual, cross_residual, feed_residual = layer.residuals
    inputs = self_residual.before(states)
    memory = layer.self_attention.build_memory(inputs, mask, positions)
    if extend is not None:
        memory = extend(memory)
    if rows.none:
        return states, None
    attended = _attend(layer.self_attention, rows, rows.pick(inputs), memory, positions, False)
    new = self_residual.after(rows.pick(states), attended.context)
    queries = cross_residual.before(new)
    attended = _cross_attend(layer.cross_attention, rows, queries, source, need_weights)
    new = cross_residual.after(new, attended.context)
    new = feed_residual.after(new, layer.feed_forward(feed_residual.before(new)))
    return rows.put(states, new), attended.weights


def _attend(
    attention: MultiHeadAttention,
    rows: ChosenRows,
    queries: Tensor,
    memory: AttentionMemory,
    positions: RelativePositions,
    need_weights: bool,
) -> AttentionOutput:
    """Compute `MultiHeadAttention.forward` for the queries [R, D] of these tokens.

    The context is [R, D]. The weights are [B, H, T, S], without meaning for the other tokens.
    """
    projected = rows.spread(attention.query_projection(queries))
    joined = attention.attend(projected, memory, positions, need_weights)
    return AttentionOutput(attention.output_projection(rows.pick(joined.context)), joined.weights)


def _cross_attend(
    attention: MultiHeadAttention | GatedCrossAttention,
    rows: ChosenRows,
    queries: Tensor,
    memory: AttentionMemory,
    need_weights: bool,
) -> AttentionOutput:
    """Compute the cross-attention of a layer for the queries [R, D] of these tokens."""
    if isinstance(attention, MultiHeadAttention):
        return _attend(attention, rows, queries, memory, NO_POSITIONS, need_weights)
    of_text, of_regions = text_and_regions(memory)
    text = _attend(attention.text, rows, queries, of_text, NO_POSITIONS, need_weights)
    regions = _attend(attention.regions, rows, queries, of_regions, NO_POSITIONS, need_weights)
    return attention.combined(queries, text, regions)
