"""Floating-point operations of a model's matrix products, from settings and sentence lengths.

A product of [m, k] and [k, n] has 2 · m · k · n operations. Only the operations that the sentences
require are counted, independently of the kernels. Padding, sums, softmaxes and recomputation are
excluded. Sparse self-attention is estimated; see `_pairs`.
"""

import torch

from nmt.bench.counts import Counts
from nmt.config.document_context import is_hierarchical
from nmt.config.model import (
    Activation,
    Bridge,
    Cell,
    DecoderConfig,
    EncoderConfig,
    ModelConfig,
    Positions,
    RegionEncoderConfig,
    RnnDecoderConfig,
    RnnEncoderConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    TransformerStackConfig,
    copies,
)
from nmt.config.self_attention import SelfAttention
from nmt.model.attention.settings import (
    BuildableAttentionConfig,
    BuiltAttention,
    LuongAttentionConfig,
    WindowedAttentionConfig,
)
from nmt.model.attention.shaw import SHAW_DISTANCE
from nmt.model.attention.window import WindowKind
from nmt.model.recurrent.recurrent_cells import CELLS

_BACKWARD = 2  # one product for the gradient of each factor


def training_flop(model: ModelConfig, target_size: int, counts: Counts) -> int:
    """Return the operations of training on sentences: a forward and a backward pass.

    Args:
        model: The settings. All parameters count as trained; teachers and second passes (R-Drop)
            are not included.
        target_size: Size of the target vocabulary.
        counts: Counts of the sentences.
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
        case TransformerEncoderConfig() | RegionEncoderConfig():
            return config.hidden_size
    raise AssertionError(f"no encoder for {config}")


def _encoder(config: EncoderConfig, counts: Counts) -> int:
    tokens = counts.source_tokens
    match config:
        case RnnEncoderConfig():
            width, gates = _encoder_size(config), CELLS[config.cell].num_gates
            first = config.embedding_size + config.hidden_size
            later = (width + config.hidden_size) * (config.num_layers - 1)
            return (first + later) * gates * width * tokens
        case TransformerEncoderConfig():
            layer = _self_attention(config, tokens, counts.source_squares)
            layer += _feed_forward(config) * tokens
            context = _context(config, tokens, counts.source_squares)
            return config.num_layers * layer + context
        case RegionEncoderConfig():
            return 0  # one projection per region is left out, because regions are not counted
    raise AssertionError(f"no encoder for {config}")


def _context(config: TransformerStackConfig, tokens: int, squares: int) -> int:
    """Return the multiply-adds of hierarchical attention over one previous sentence; 0 without it.

    The number of previous sentences and their lengths are unknown here. Attention to words and
    self-attention are therefore counted as if each row were one sentence.
    """
    if not is_hierarchical(config):
        return 0
    size = config.hidden_size
    projections = 2 * (3 * size * size + size * 2 * _kv_size(config)) + 2 * size * size
    of_words = 2 * size * squares
    return (projections + 2 * size + _feed_forward(config)) * tokens + of_words


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
            context = _context(config, tokens, counts.target_squares)
            return config.num_layers * layer + context, size
    raise AssertionError(f"no decoder for {config}")


def _kv_size(config: TransformerStackConfig) -> int:
    return config.hidden_size // config.num_heads * (config.num_kv_heads or config.num_heads)


def _self_attention(config: TransformerStackConfig, tokens: int, squares: int) -> int:
    size = config.hidden_size
    projections = 2 * size * size + size * 2 * _kv_size(config)
    if config.positions == Positions.RELATIVE:
        # The distance embeddings are multiplied by the queries and by the weights.
        projections += 2 * size * (2 * SHAW_DISTANCE + 1)
    return projections * tokens + 2 * size * attended_pairs(config, tokens, squares)


def attended_pairs(config: TransformerStackConfig, tokens: int, squares: int) -> int:
    """Return the number of pairs of positions with a score, or the number with an equal cost.

    Sparse kinds have a fixed number per position, but at most all pairs. Of a sentence of n
    positions, strided attention also scores n / l further positions per position, and fixed
    attention the c n / l summaries. Learned spans count as full attention,
    and adaptive depth as all layers, because the settings do not determine them.
    """
    near, block = config.attention_stride, config.attention_block
    each = {
        SelfAttention.LOCAL: 2 * config.attention_window + 1,
        SelfAttention.STRIDED: 2 * near + 1,
        SelfAttention.FIXED: near,
        SelfAttention.RANDOM_GLOBAL: block
        * (3 + config.attention_global_blocks + config.attention_random_blocks),
        SelfAttention.LSH: 2 * block * config.attention_hashes,
    }
    distant = {
        SelfAttention.STRIDED: squares // near,
        SelfAttention.FIXED: squares * min(config.attention_summaries, near) // near,
    }
    regardless = {
        SelfAttention.LINEAR: config.hidden_size // config.num_heads,
        SelfAttention.FAVOR: config.attention_features,
        SelfAttention.LOW_RANK: 2 * config.attention_rank,
    }
    kind = SelfAttention(config.self_attention)
    if kind in regardless:
        return tokens * regardless[kind]
    if kind not in each:
        return squares
    return min(squares, tokens * each[kind] + distant.get(kind, 0))


def _feed_forward(config: TransformerStackConfig) -> int:
    matrices = 3 if config.activation == Activation.SWIGLU else 2
    return matrices * config.hidden_size * config.feed_forward_size


def _rnn_decoder(config: RnnDecoderConfig, memory_size: int, counts: Counts) -> tuple[int, int]:
    units, embedding = config.hidden_size, config.embedding_size
    gates = CELLS[config.cell].num_gates * units
    attention = config.attention
    assert isinstance(attention, BuildableAttentionConfig)
    built, attending = _attention(attention, units, memory_size, counts)
    context = built.context_size
    if isinstance(attention, LuongAttentionConfig):
        fed = units if attention.input_feeding else 0
        output, read_out = units, (context + units) * units
    else:
        fed, output, readout_size = context, units, units
        if built.maxout_size is not None:
            output, readout_size = built.maxout_size, 2 * built.maxout_size
        read_out = (units + context + embedding) * readout_size
    step = gates * (embedding + fed + units + 2 * units * (config.num_layers - 1)) + read_out
    if copies(config):
        step += context + units + embedding  # p_gen
    total = step * counts.target_tokens + attending
    if config.bridge != Bridge.ZERO:
        states = units * (2 if config.cell == Cell.LSTM else 1) * config.num_layers
        total += memory_size * states * counts.sentences
    return total, output


def _attention(
    config: BuildableAttentionConfig, units: int, memory_size: int, counts: Counts
) -> tuple[BuiltAttention, int]:
    """Return the attention of an RNN decoder on the meta device, and its multiply-adds."""
    with torch.device("meta"):
        built = config.build(units, memory_size)
    if built.attention is None:  # the context is a fixed vector
        return built, 0
    cost = config.score_cost(units, memory_size)
    per_target = cost.per_target
    if isinstance(config, WindowedAttentionConfig) and config.window == WindowKind.LOCAL_P:
        per_target += units * units + units
    total = cost.per_source * counts.source_tokens + per_target * counts.target_tokens
    return built, total + (cost.per_pair + built.context_size) * counts.products
