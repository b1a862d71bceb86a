"""A Transformer as a CTranslate2 model, through that library's specification of its files.

CTranslate2 (https://opennmt.net/CTranslate2) is an engine in C++ for Transformers. It computes
embeddings times sqrt(D) plus a table of positions, pre- or post-norm layers, and an output layer,
as `nmt.model.transformer.transformer_stacks` does. Only the names and the layout of the matrices
differ.

Legend: D model size.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nmt.checkpoint import Checkpoint
from nmt.config.model import (
    LEARNED_POSITIONS,
    Activation,
    NormPlace,
    NormType,
    Positions,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    TransformerStackConfig,
)
from nmt.config.schema import Config
from nmt.export.export_choices import Quantization
from nmt.export.extras import required
from nmt.export.parity import Ids, Scorer
from nmt.export.unsupported import OTHER_FORMAT, plain_cross_attention, refuse, transformer_stacks
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.rotary import ROTARY_BASE
from nmt.model.attention.shaw import ShawAttention
from nmt.model.attention.t5_bias import T5_DISTANCE, T5Bias
from nmt.model.transformer.position_wise import FeedForward, SwiGlu
from nmt.model.transformer.positions import PositionedEmbedding, sinusoidal_positions
from nmt.model.transformer.residual import Residual
from nmt.model.transformer.transformer_layers import (
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)
from nmt.model.transformer.transformer_stacks import TransformerDecoder, TransformerEncoder
from nmt.text.tokenizer import Tokenizer, TokenizerPair

EXTRA = "ctranslate2"

LONGEST = 4096
"""Number of positions in the file. CTranslate2 refuses longer sentences."""


def save_ctranslate2(checkpoint: Checkpoint, folder: Path, quantization: Quantization) -> None:
    """Write ``model.bin``, ``config.json`` and the vocabularies to a folder.

    Raises:
        UserError: CTranslate2 cannot compute a part of the model, or is not installed.
    """
    check_form(checkpoint.config)
    specification = _specification(checkpoint)
    for side, tokenizer in _sides(checkpoint.tokenizers):
        register = getattr(specification, f"register_{side}_vocabulary")
        register(tokenizer.pieces(range(len(tokenizer))))
    specification.config.add_source_eos = True
    specification.validate()
    kept = None if quantization is Quantization.FLOAT32 else quantization.value
    specification.optimize(quantization=kept)
    specification.save(str(folder))


def _sides(tokenizers: TokenizerPair) -> Iterator[tuple[str, Tokenizer]]:
    yield "source", tokenizers.source
    yield "target", tokenizers.target


def check_form(config: Config, remedy: str = OTHER_FORMAT) -> None:
    """Check that CTranslate2 can compute the model of this configuration.

    Args:
        config: The settings of the run.
        remedy: What the user can do otherwise, for the message.

    Raises:
        UserError: CTranslate2 cannot compute the model; the message names the settings.
    """
    encoder, decoder = transformer_stacks(config, "CTranslate2", remedy)
    refuse("CTranslate2", _missing_forms(encoder, decoder), remedy)


def _missing_forms(
    encoder: TransformerEncoderConfig, decoder: TransformerDecoderConfig
) -> Iterator[str]:
    if encoder.positions == Positions.ALIBI:
        yield "model.encoder.positions=alibi"
    heads = decoder.num_heads
    if decoder.positions == Positions.ALIBI and heads & (heads - 1):
        yield f"model.decoder.positions=alibi with num_heads={heads} (a power of 2 is needed)"
    for side, stack in ("encoder", encoder), ("decoder", decoder):
        if stack.qk_norm:
            yield f"model.{side}.qk_norm=true"


def _specification(checkpoint: Checkpoint) -> Any:
    transformer_spec = required("ctranslate2.specs.transformer_spec", EXTRA)
    model = checkpoint.trained_model()
    settings = checkpoint.config.model
    encoder, decoder = model.encoder, model.decoder
    assert isinstance(encoder, TransformerEncoder)
    assert isinstance(decoder, TransformerDecoder)
    assert isinstance(settings.encoder, TransformerEncoderConfig)
    assert isinstance(settings.decoder, TransformerDecoderConfig)
    options = _options(settings.encoder)
    reader = transformer_spec.TransformerEncoderSpec(settings.encoder.num_layers, **options)
    options = _options(settings.decoder)
    alibi = settings.decoder.positions == Positions.ALIBI
    writer = transformer_spec.TransformerDecoderSpec(
        settings.decoder.num_layers, alibi=alibi, **options
    )
    _set_stack(reader, encoder, settings.encoder)
    _set_stack(writer, decoder, settings.decoder)
    _set_embeddings(reader.embeddings[0], encoder.positioned)
    _set_embeddings(writer.embeddings, decoder.positioned)
    writer.projection.weight = _array(model.output.weight)
    for part, reads in zip(reader.layer, encoder.layers, strict=True):
        _set_encoder_layer(part, reads)
    for part, writes in zip(writer.layer, decoder.layers, strict=True):
        _set_decoder_layer(part, writes)
    return transformer_spec.TransformerSpec(reader, writer)


def _options(stack: TransformerStackConfig) -> dict[str, Any]:
    """Return the arguments that encoder and decoder specifications have in common."""
    common_spec = required("ctranslate2.specs.common_spec", EXTRA)
    activations = {
        Activation.RELU: common_spec.Activation.RELU,
        Activation.GELU: common_spec.Activation.GELU,
        Activation.SWIGLU: common_spec.Activation.SWISH,
    }
    rotary = stack.positions == Positions.ROTARY
    return {
        "num_heads": stack.num_heads,
        "pre_norm": stack.norm == NormPlace.PRE,
        "activation": activations[Activation(stack.activation)],
        "relative_position": stack.positions == Positions.RELATIVE,
        "relative_attention_bias": stack.positions == Positions.T5_BIAS,
        "ffn_glu": stack.activation == Activation.SWIGLU,
        "rms_norm": stack.norm_type == NormType.RMS,
        "num_heads_kv": stack.num_kv_heads,
        "rotary_dim": stack.hidden_size // stack.num_heads if rotary else None,
        "rotary_interleave": False,
        "rotary_base": ROTARY_BASE,
    }


def _array(tensor: Tensor) -> Any:
    return tensor.detach().float().contiguous().numpy()


def _set_embeddings(part: Any, positioned: PositionedEmbedding) -> None:
    part.weight = _array(positioned.embedding.weight)


def _set_stack(
    part: Any, stack: TransformerEncoder | TransformerDecoder, config: TransformerStackConfig
) -> None:
    """Set the positions, the last norm and the T5 bias, which all layers share."""
    if config.norm == NormPlace.PRE:
        _set_norm(part.layer_norm, stack.norm)
    table = _position_table(stack.positioned, config)
    if table is not None:
        part.position_encodings.encodings = _array(table)
    elif hasattr(part, "position_encodings"):
        del part.position_encodings
    if isinstance(stack.relative, T5Bias):
        import numpy as np

        for layer in part.layer:
            attention = layer.self_attention
            attention.relative_attention_bias = _array(stack.relative.bias_table)
            attention.relative_attention_max_distance = np.int32(T5_DISTANCE)


def _position_table(
    positioned: PositionedEmbedding, config: TransformerStackConfig
) -> Tensor | None:
    """Return the vectors to add to the scaled embeddings, [LONGEST, D]; None: nothing is added."""
    size = config.hidden_size
    if config.positions == Positions.SINUSOIDAL:
        return sinusoidal_positions(LONGEST, size)
    if config.positions == Positions.LEARNED:
        places = torch.arange(LONGEST).clamp_max(LEARNED_POSITIONS - 1)
        return positioned.position_embedding.weight[places] * size**0.5
    return None


def _set_norm(part: Any, norm: nn.Module) -> None:
    part.gamma = _array(norm.get_parameter("weight"))
    if isinstance(norm, nn.LayerNorm):
        part.beta = _array(norm.bias)


def _set_linear(part: Any, *layers: nn.Linear) -> None:
    """Set one linear layer, or several with the same input as one."""
    part.weight = _array(torch.cat([layer.get_parameter("weight") for layer in layers]))
    biases: list[Tensor | None] = [layer.bias for layer in layers]
    present = [bias for bias in biases if bias is not None]
    if present:
        part.bias = _array(torch.cat(present))


def _set_attention(part: Any, attention: MultiHeadAttention, residual: Residual) -> None:
    """Set self-attention, with one matrix for three projections, or cross-attention."""
    _set_norm(part.layer_norm, residual.norm)
    if len(part.linear) == 2:
        _set_linear(part.linear[0], attention.query_projection, attention.key_value_projection)
    else:
        _set_linear(part.linear[0], attention.query_projection)
        _set_linear(part.linear[1], attention.key_value_projection)
    _set_linear(part.linear[-1], attention.output_projection)
    if isinstance(attention, ShawAttention):
        part.relative_position_keys = _array(attention.relative.key_vectors)
        part.relative_position_values = _array(attention.relative.value_vectors)


def _set_feed_forward(part: Any, layer: FeedForward, residual: Residual) -> None:
    _set_norm(part.layer_norm, residual.norm)
    widen, narrow = layer[0], layer[-1]
    assert isinstance(narrow, nn.Linear)
    if isinstance(widen, SwiGlu):
        gate, value = widen.gated_projection.weight.chunk(2)
        part.linear_0.weight, part.linear_0_noact.weight = _array(gate), _array(value)
    else:
        assert isinstance(widen, nn.Linear)
        _set_linear(part.linear_0, widen)
    _set_linear(part.linear_1, narrow)


def _set_encoder_layer(part: Any, layer: TransformerEncoderLayer) -> None:
    attention, feed = layer.residuals
    _set_attention(part.self_attention, layer.self_attention, attention)
    _set_feed_forward(part.ffn, layer.feed_forward, feed)


def _set_decoder_layer(part: Any, layer: TransformerDecoderLayer) -> None:
    attention, cross, feed = layer.residuals
    _set_attention(part.self_attention, layer.self_attention, attention)
    _set_attention(part.attention, plain_cross_attention(layer), cross)
    _set_feed_forward(part.ffn, layer.feed_forward, feed)


def scorer(folder: Path, tokenizers: TokenizerPair) -> Scorer:
    """Return a function that scores translations with the model of a folder, on the CPU."""
    engine = required("ctranslate2", EXTRA).Translator(str(folder), device="cpu")

    def score(sources: Ids, targets: Ids) -> list[list[float]]:
        scored = engine.score_batch(
            [tokenizers.source.pieces(ids) for ids in sources],
            [tokenizers.target.pieces(ids) for ids in targets],
        )
        return [list(one.log_probs) for one in scored]

    return score
