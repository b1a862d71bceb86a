"""Builds a model from its configuration."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor, nn

from nmt.config.document_context import is_hierarchical
from nmt.config.model import (
    Combination,
    Initialization,
    ModelConfig,
    RegionEncoderConfig,
    RnnDecoderConfig,
    RnnEncoderConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    Tying,
)
from nmt.config.schema import Config
from nmt.model.attention.doubly import DoublyAttention
from nmt.model.attention.settings import BuildableAttentionConfig, LuongAttentionConfig
from nmt.model.documents.hierarchical_decoder import HierarchicalDecoder
from nmt.model.documents.hierarchical_encoder import HierarchicalEncoder
from nmt.model.documents.sentence_segments import ContextPieces
from nmt.model.interfaces import Decoder, Encoder
from nmt.model.recurrent.attend_first import AttendFirstDecoder
from nmt.model.recurrent.rnn_encoder import RnnEncoder
from nmt.model.recurrent.update_first import UpdateFirstDecoder
from nmt.model.region_encoder import RegionEncoder, RegionStates
from nmt.model.seq2seq import TranslationModel
from nmt.model.transformer.transformer_stacks import TransformerDecoder, TransformerEncoder

if TYPE_CHECKING:
    from nmt.text.tokenizer import TokenizerPair


def model_for(config: Config, tokenizers: "TokenizerPair") -> TranslationModel:
    """Build the model of a run, with initial weights.

    Args:
        config: Checked settings.
        tokenizers: The tokenizers of source and target.
    """
    sizes = len(tokenizers.source), len(tokenizers.target)
    context = ContextPieces.of(config.data, tokenizers.source.symbols, tokenizers.target.symbols)
    return build_model(config.model, *sizes, context=context)


def build_model(
    config: ModelConfig,
    source_size: int,
    target_size: int,
    *,
    initialize: bool = True,
    context: ContextPieces | None = None,
) -> TranslationModel:
    """Build a model for vocabularies of these sizes.

    Args:
        config: Checked settings.
        source_size: Pieces of the source vocabulary.
        target_size: Pieces of the target vocabulary.
        initialize: Whether to initialize the weights for training.
        context: The pieces that separate the sentences of a row, for hierarchical encoders and
            decoders; None: such a model has weights but cannot read text.

    Raises:
        UserError: The model is hierarchical, and a tokenizer has no separator of sentences.
    """
    encoder = _encoder(config, source_size, context)
    features, width = config.features, encoder.output_size
    gated = features.combination == Combination.GATED
    regions = None
    if features.combination != Combination.NONE:
        assert features.size is not None
        regions = RegionStates(features.size, width, features.dropout)
    decoder = _decoder(config, target_size, width, width if gated else None, context)
    joint = features.combination == Combination.JOINT
    model = TranslationModel(encoder, decoder, target_size, regions, joint=joint)
    if initialize:
        _initialize(model, Initialization(config.initialization))
    if config.tying != Tying.NONE:
        model.output.weight = decoder.embedding.weight
    if config.tying == Tying.THREE_WAY:
        encoder.embedding.weight = decoder.embedding.weight
    return model


def _encoder(config: ModelConfig, vocab_size: int, context: ContextPieces | None) -> Encoder:
    match config.encoder:
        case RnnEncoderConfig() as encoder:
            return RnnEncoder(encoder, vocab_size)
        case TransformerEncoderConfig() as encoder:
            if is_hierarchical(encoder):
                return HierarchicalEncoder(encoder, vocab_size, context)
            return TransformerEncoder(encoder, vocab_size)
        case RegionEncoderConfig() as encoder:
            return RegionEncoder(encoder)
    raise AssertionError(f"no encoder for {config.encoder}")


def _decoder(
    config: ModelConfig,
    vocab_size: int,
    memory_size: int,
    region_size: int | None,
    context: ContextPieces | None,
) -> Decoder:
    match config.decoder:
        case RnnDecoderConfig() as decoder:
            return _rnn_decoder(decoder, vocab_size, memory_size, region_size)
        case TransformerDecoderConfig() as decoder:
            if is_hierarchical(decoder):
                return HierarchicalDecoder(decoder, vocab_size, memory_size, context)
            return TransformerDecoder(decoder, vocab_size, memory_size, region_size)
    raise AssertionError(f"no decoder for {config.decoder}")


def _rnn_decoder(
    config: RnnDecoderConfig, vocab_size: int, memory_size: int, region_size: int | None
) -> Decoder:
    assert isinstance(config.attention, BuildableAttentionConfig)
    built = config.attention.build(config.hidden_size, memory_size)
    if region_size is not None:
        assert built.attention is not None
        attention = DoublyAttention(built.attention, config.hidden_size, region_size)
        built = replace(built, attention=attention, context_size=built.context_size + region_size)
    if isinstance(config.attention, LuongAttentionConfig):
        feeds = config.attention.input_feeding
        return UpdateFirstDecoder(config, vocab_size, memory_size, built, input_feeding=feeds)
    return AttendFirstDecoder(config, vocab_size, memory_size, built)


def _initialize(model: TranslationModel, initialization: Initialization) -> None:
    """Initialize all parameters of a new model.

    Weight matrices follow Glorot & Bengio 2010, eq. 16 (uniform), or He et al. 2015, eq. 10 (normal
    with variance 2 / inputs). The recurrent matrix of each gate is orthogonal. Embeddings are from
    N(0, 1 / size). Biases are 0, and the gains of norms are 1.
    """
    draw = _he if initialization == Initialization.HE else nn.init.xavier_uniform_
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            if "norm" not in name:
                nn.init.zeros_(parameter)
        elif "weight_hh" in name or "state_projection" in name:
            for gate in parameter.data.split(parameter.size(1)):
                nn.init.orthogonal_(gate)
        elif "key_value_projection" in name or "gated_projection" in name:  # two matrices
            for half in parameter.data.chunk(2):
                draw(half)
        elif "length_projection" in name:  # Wang et al. 2020, theorem 2: N(0, 1 / k)
            nn.init.normal_(parameter, std=len(parameter) ** -0.5)
        elif "halting" in name:
            nn.init.zeros_(parameter)
        elif "bias_table" in name:
            nn.init.normal_(parameter, std=0.02)
        elif "embedding" in name and "embedding_gates" not in name:
            nn.init.normal_(parameter, std=1 / math.sqrt(parameter.size(1)))
        else:
            draw(parameter)


def _he(matrix: Tensor) -> Tensor:
    """Fill a matrix [O, I] from N(0, 2 / I) (He et al. 2015, eq. 10)."""
    return nn.init.kaiming_normal_(matrix, mode="fan_in", nonlinearity="relu")
