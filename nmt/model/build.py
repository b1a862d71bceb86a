"""Builds a model from its configuration."""

import math

from torch import nn

from nmt.config.model import (
    BahdanauAttentionConfig,
    LuongAttentionConfig,
    LuongConcatAttentionConfig,
    LuongDotAttentionConfig,
    LuongGeneralAttentionConfig,
    LuongLocationAttentionConfig,
    ModelConfig,
    MultiHeadAttentionConfig,
    NoAttentionConfig,
    RnnDecoderConfig,
    RnnEncoderConfig,
    ScaledDotAttentionConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    WindowedAttentionConfig,
)
from nmt.model.attend_first import AttendFirstDecoder
from nmt.model.attention.additive import AdditiveAttention
from nmt.model.attention.core import Attention
from nmt.model.attention.coverage import Coverage
from nmt.model.attention.location import LocationAttention
from nmt.model.attention.luong import DotAttention, GeneralAttention
from nmt.model.attention.recurrent_multi_head import RecurrentMultiHeadAttention
from nmt.model.attention.window import MonotonicWindow, PredictiveWindow, Window
from nmt.model.interfaces import Decoder, Encoder
from nmt.model.rnn_decoder import FixedVector
from nmt.model.rnn_encoder import RnnEncoder
from nmt.model.seq2seq import TranslationModel
from nmt.model.transformer import TransformerDecoder, TransformerEncoder
from nmt.model.update_first import UpdateFirstDecoder


def build_model(config: ModelConfig, source_size: int, target_size: int) -> TranslationModel:
    """Build a newly initialised model for vocabularies of these sizes."""
    encoder = _encoder(config, source_size)
    decoder = _decoder(config, target_size, encoder.output_size)
    model = TranslationModel(encoder, decoder, target_size)
    _initialise(model)
    if config.tying != "none":
        model.output.weight = decoder.embedding.weight
    if config.tying == "three_way":
        encoder.embedding.weight = decoder.embedding.weight
    return model


def _encoder(config: ModelConfig, vocab_size: int) -> Encoder:
    match config.encoder:
        case RnnEncoderConfig() as encoder:
            return RnnEncoder(encoder, vocab_size)
        case TransformerEncoderConfig() as encoder:
            return TransformerEncoder(encoder, vocab_size)
    raise AssertionError(f"no encoder for {config.encoder}")


def _decoder(config: ModelConfig, vocab_size: int, memory_size: int) -> Decoder:
    match config.decoder:
        case RnnDecoderConfig() as decoder:
            return _rnn_decoder(decoder, vocab_size, memory_size)
        case TransformerDecoderConfig() as decoder:
            return TransformerDecoder(decoder, vocab_size, memory_size)
    raise AssertionError(f"no decoder for {config.decoder}")


def _rnn_decoder(config: RnnDecoderConfig, vocab_size: int, memory_size: int) -> Decoder:
    match config.attention:
        case NoAttentionConfig():
            return AttendFirstDecoder(config, vocab_size, memory_size, FixedVector())
        case BahdanauAttentionConfig(size=size) as bahdanau:
            window = _window(bahdanau, config.hidden_size)
            return AttendFirstDecoder(
                config,
                vocab_size,
                memory_size,
                AdditiveAttention(config.hidden_size, memory_size, size, window),
                _coverage(bahdanau, memory_size),
                bahdanau.maxout_size,
            )
        case LuongAttentionConfig(input_feeding=feeding) as luong:
            attention, context_size = _luong(luong, config.hidden_size, memory_size)
            return UpdateFirstDecoder(
                config,
                vocab_size,
                memory_size,
                attention,
                context_size,
                _coverage(luong, memory_size),
                input_feeding=feeding,
            )
    raise AssertionError(f"no attention for {config.attention}")


def _luong(
    config: LuongAttentionConfig, query_size: int, memory_size: int
) -> tuple[Attention, int]:
    """Return the attention and the size of its contexts."""
    window = _window(config, query_size)
    match config:
        case LuongDotAttentionConfig():
            return DotAttention(query_size, memory_size, window), query_size
        case ScaledDotAttentionConfig():
            return DotAttention(query_size, memory_size, window, scaled=True), query_size
        case LuongGeneralAttentionConfig():
            return GeneralAttention(query_size, memory_size, window), memory_size
        case LuongConcatAttentionConfig(size=size):
            return AdditiveAttention(query_size, memory_size, size, window), memory_size
        case LuongLocationAttentionConfig(max_source_length=positions):
            return LocationAttention(query_size, positions, window), memory_size
        case MultiHeadAttentionConfig(num_heads=heads):
            return RecurrentMultiHeadAttention(query_size, memory_size, heads, window), query_size
    raise AssertionError(f"no score for {config}")


def _window(config: WindowedAttentionConfig, query_size: int) -> Window | None:
    match config.window:
        case "global":
            return None
        case "local_m":
            return MonotonicWindow(config.window_size)
        case "local_p":
            return PredictiveWindow(config.window_size, query_size)
    raise AssertionError(f"no window {config.window}")


def _coverage(config: WindowedAttentionConfig, memory_size: int) -> Coverage | None:
    if not isinstance(config, BahdanauAttentionConfig | LuongConcatAttentionConfig):
        return None
    if config.coverage == "none":
        return None
    return Coverage(memory_size, config.size, fertile=config.coverage == "fertility")


def _initialise(model: TranslationModel) -> None:
    """Initialise: Glorot & Bengio 2010, orthogonal recurrences, embeddings from N(0, 1/size)."""
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            continue
        if "weight_hh" in name or "state_projection" in name:
            size = parameter.size(1)
            for gate in parameter.data.split(size):
                nn.init.orthogonal_(gate)
        elif "key_value_projection" in name or "gated_projection" in name:  # two matrices in one
            for half in parameter.data.chunk(2):
                nn.init.xavier_uniform_(half)
        elif "bias_table" in name:
            nn.init.normal_(parameter, std=0.02)
        elif "embedding" in name and "gates" not in name:
            nn.init.normal_(parameter, std=1 / math.sqrt(parameter.size(1)))
        else:
            nn.init.xavier_uniform_(parameter)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1 and "norm" not in name:
            nn.init.zeros_(parameter)
