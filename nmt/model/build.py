"""From a model's configuration to the model."""

import math

from torch import nn

from nmt.config.model import (
    BahdanauAttentionConfig,
    LuongAttentionConfig,
    LuongConcatAttentionConfig,
    LuongDotAttentionConfig,
    LuongGeneralAttentionConfig,
    ModelConfig,
    NoAttentionConfig,
    RnnDecoderConfig,
    RnnEncoderConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
)
from nmt.model.attention.additive import AdditiveAttention
from nmt.model.attention.core import Attention
from nmt.model.attention.luong import DotAttention, GeneralAttention
from nmt.model.interfaces import Decoder, Encoder
from nmt.model.rnn_decoder import AttendFirstDecoder, FixedVector, UpdateFirstDecoder
from nmt.model.rnn_encoder import RnnEncoder
from nmt.model.seq2seq import TranslationModel
from nmt.model.transformer import TransformerDecoder, TransformerEncoder


def build_model(config: ModelConfig, source_size: int, target_size: int) -> TranslationModel:
    """Build a model, freshly initialised, for vocabularies of these sizes."""
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
    query_size = config.hidden_size
    match config.attention:
        case NoAttentionConfig():
            return AttendFirstDecoder(config, vocab_size, memory_size, FixedVector())
        case BahdanauAttentionConfig(size=size):
            additive = AdditiveAttention(query_size, memory_size, size)
            return AttendFirstDecoder(config, vocab_size, memory_size, additive)
        case LuongAttentionConfig(input_feeding=feeding) as luong:
            attention, context_size = _luong(luong, query_size, memory_size)
            return UpdateFirstDecoder(
                config, vocab_size, memory_size, attention, context_size, input_feeding=feeding
            )
    raise AssertionError(f"no attention for {config.attention}")


def _luong(
    config: LuongAttentionConfig, query_size: int, memory_size: int
) -> tuple[Attention, int]:
    """Return the attention and the size of its contexts."""
    match config:
        case LuongDotAttentionConfig():
            return DotAttention(query_size, memory_size), query_size
        case LuongGeneralAttentionConfig():
            return GeneralAttention(query_size, memory_size), memory_size
        case LuongConcatAttentionConfig(size=size):
            return AdditiveAttention(query_size, memory_size, size), memory_size
    raise AssertionError(f"no score for {config}")


def _initialise(model: TranslationModel) -> None:
    """Glorot & Bengio 2010 for products, orthogonal recurrences, N(0, 1/size) for embeddings."""
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            continue
        if "weight_hh" in name or "state_projection" in name:
            size = parameter.size(1)
            for gate in parameter.data.split(size):
                nn.init.orthogonal_(gate)
        elif "key_value_projection" in name:  # two matrices in one
            for half in parameter.data.chunk(2):
                nn.init.xavier_uniform_(half)
        elif "embedding" in name and "gates" not in name:
            nn.init.normal_(parameter, std=1 / math.sqrt(parameter.size(1)))
        else:
            nn.init.xavier_uniform_(parameter)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1 and "norm" not in name:
            nn.init.zeros_(parameter)
