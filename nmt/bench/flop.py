"""Floating-point operations of a model's matrix products, from settings and sentence lengths.

A product of [m, k] and [k, n] has 2 · m · k · n operations. Only the operations that the sentences
require are counted, independently of the kernels. Padding, sums, softmaxes and recomputation are
excluded.
"""

from nmt.bench.counts import Counts
from nmt.config.model import (
    AttentionConfig,
    DecoderConfig,
    EncoderConfig,
    ModelConfig,
    RnnDecoderConfig,
    RnnEncoderConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
)
from nmt.model.attention.additive import BahdanauAttentionConfig
from nmt.model.attention.concat import ConcatAttentionConfig
from nmt.model.attention.dot import DotAttentionConfig
from nmt.model.attention.general import GeneralAttentionConfig
from nmt.model.attention.location import LocationAttentionConfig
from nmt.model.attention.recurrent_multi_head import MultiHeadAttentionConfig
from nmt.model.attention.relative import SHAW_DISTANCE
from nmt.model.attention.scaled_dot import ScaledDotAttentionConfig
from nmt.model.attention.settings import LuongAttentionConfig

_GATES = {"gru": 3, "lstm": 4}
_BACKWARD = 2  # one product for the gradient of each factor


def training_flop(model: ModelConfig, target_size: int, counts: Counts) -> int:
    """Return the operations of training on sentences: a forward and a backward pass.

    Args:
        model: The settings. All parameters count as trained; teachers and second passes (R-Drop)
            are not included.
        target_size: Size of the target vocabulary.
        counts: Of the sentences.
    """
    return (1 + _BACKWARD) * forward_flop(model, target_size, counts)


def forward_flop(model: ModelConfig, target_size: int, counts: Counts) -> int:
    """Return the operations of a forward pass with teacher forcing."""
    memory_size = _encoder_size(model.encoder)
    steps, output_size = _decoder(model.decoder, memory_size, counts)
    output = output_size * target_size * counts.target_tokens
    return 2 * (_encoder(model.encoder, counts) + steps + output)


def _encoder_size(config: EncoderConfig) -> int:
    match config:
        case RnnEncoderConfig():
            return config.hidden_size * (2 if config.bidirectional else 1)
        case TransformerEncoderConfig():
            return config.hidden_size
    raise AssertionError(f"no encoder for {config}")


def _encoder(config: EncoderConfig, counts: Counts) -> int:
    tokens = counts.source_tokens
    match config:
        case RnnEncoderConfig():
            width, gates = _encoder_size(config), _GATES[config.cell]
            first = config.embedding_size + config.hidden_size
            later = (width + config.hidden_size) * (config.num_layers - 1)
            return (first + later) * gates * width * tokens
        case TransformerEncoderConfig():
            layer = _self_attention(config, tokens, counts.source_squares)
            return config.num_layers * (layer + _feed_forward(config) * tokens)
    raise AssertionError(f"no encoder for {config}")


def _decoder(config: DecoderConfig, memory_size: int, counts: Counts) -> tuple[int, int]:
    """Return a decoder's multiply-adds, and the size of its input to the output layer."""
    match config:
        case RnnDecoderConfig():
            return _rnn_decoder(config, memory_size, counts)
        case TransformerDecoderConfig():
            size, tokens = config.hidden_size, counts.target_tokens
            layer = _self_attention(config, tokens, counts.target_squares)
            layer += 2 * size * size * tokens  # cross-attention: query and output projections
            layer += memory_size * 2 * _kv_size(config) * counts.source_tokens
            layer += 2 * size * counts.products
            layer += _feed_forward(config) * tokens
            return config.num_layers * layer, size
    raise AssertionError(f"no decoder for {config}")


def _kv_size(config: TransformerEncoderConfig | TransformerDecoderConfig) -> int:
    return config.hidden_size // config.num_heads * (config.num_kv_heads or config.num_heads)


def _self_attention(
    config: TransformerEncoderConfig | TransformerDecoderConfig, tokens: int, squares: int
) -> int:
    size = config.hidden_size
    projections = 2 * size * size + size * 2 * _kv_size(config)
    if config.positions == "relative":  # queries times, and weights times, the distance embeddings
        projections += 2 * size * (2 * SHAW_DISTANCE + 1)
    return projections * tokens + 2 * size * squares


def _feed_forward(config: TransformerEncoderConfig | TransformerDecoderConfig) -> int:
    matrices = 3 if config.activation == "swiglu" else 2
    return matrices * config.hidden_size * config.feed_forward_size


def _rnn_decoder(config: RnnDecoderConfig, memory_size: int, counts: Counts) -> tuple[int, int]:
    units, embedding = config.hidden_size, config.embedding_size
    gates = _GATES[config.cell] * units
    attention = config.attention
    context, attending = _attention(attention, units, memory_size, counts)
    if isinstance(attention, LuongAttentionConfig):
        fed = units if attention.input_feeding else 0
        output, read_out = units, (context + units) * units
    else:
        fed, output, readout_size = context, units, units
        if isinstance(attention, BahdanauAttentionConfig) and attention.maxout_size:
            output, readout_size = attention.maxout_size, 2 * attention.maxout_size
        read_out = (units + context + embedding) * readout_size
    step = gates * (embedding + fed + units + 2 * units * (config.num_layers - 1)) + read_out
    total = step * counts.target_tokens + attending
    if config.bridge != "zero":
        states = units * (2 if config.cell == "lstm" else 1) * config.num_layers
        total += memory_size * states * counts.sentences
    return total, output


def _attention(
    config: AttentionConfig, units: int, memory_size: int, counts: Counts
) -> tuple[int, int]:
    """Return the context size of an RNN decoder, and the multiply-adds of its attention."""
    source, target, pairs = counts.source_tokens, counts.target_tokens, counts.products
    context, total = memory_size, 0
    match config:
        case BahdanauAttentionConfig(size=size) | ConcatAttentionConfig(size=size):
            total = units * size * target + memory_size * size * source + size * pairs
            if config.coverage != "none":
                total += size * pairs
            if config.coverage == "fertility":
                total += memory_size * source
        case DotAttentionConfig() | ScaledDotAttentionConfig():
            context = units
            if units != memory_size:
                total = memory_size * units * source
            total += units * pairs
        case GeneralAttentionConfig():
            total = memory_size * units * source + units * pairs
        case LocationAttentionConfig(max_source_length=positions):
            total = units * positions * target
        case MultiHeadAttentionConfig():
            context = units
            total = 2 * units * units * target + memory_size * 2 * units * source + units * pairs
        case _:  # no attention: the context is a fixed vector
            return context, 0
    if config.window == "local_p":
        total += (units * units + units) * target
    return context, total + context * pairs
