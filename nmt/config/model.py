"""Settings of the model: an encoder, a decoder and, for the RNN decoder, an attention.

Each choice is a subclass with its own ``name``. The attention kinds are in the files of their
formulas, ``nmt/model/attention``.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nmt.config.document_context import ContextConfig, TargetContextConfig
from nmt.config.self_attention import SelfAttentionConfig
from nmt.config.setting import REQUIRED, group, section, setting
from nmt.config.stack_depth import DepthConfig

LARGEST_SIZE, MOST_LAYERS = 1 << 16, 1000
"""Upper bounds, beyond what machines can train: units of a layer, and layers of a stack."""

LEARNED_POSITIONS = 1024
"""Number of positions for which ``positions=learned`` has vectors, including EOS."""


class Cell(StrEnum):
    """The recurrent cell of a layer."""

    GRU = "gru"
    LSTM = "lstm"


class Initialization(StrEnum):
    """The distribution of new weight matrices, except embeddings and recurrent matrices."""

    GLOROT = "glorot"
    HE = "he"


class Bridge(StrEnum):
    """How the encoder's summary gives the RNN decoder's first state."""

    TANH = "tanh"
    LINEAR = "linear"
    ZERO = "zero"


class CopyKind(StrEnum):
    """How the RNN decoder copies pieces of the source."""

    NONE = "none"
    POINTER = "pointer"


class NormPlace(StrEnum):
    """Where a Transformer layer normalizes: before each sublayer, or after the residual sum."""

    PRE = "pre"
    POST = "post"


class NormType(StrEnum):
    """LayerNorm or RMSNorm."""

    LAYER = "layer"
    RMS = "rms"


class Activation(StrEnum):
    """The nonlinearity of a feed-forward layer."""

    RELU = "relu"
    GELU = "gelu"
    SWIGLU = "swiglu"


class Positions(StrEnum):
    """How a Transformer represents the order of the pieces."""

    SINUSOIDAL = "sinusoidal"
    LEARNED = "learned"
    RELATIVE = "relative"
    T5_BIAS = "t5_bias"
    ROTARY = "rotary"
    ALIBI = "alibi"


class Combination(StrEnum):
    """How a model reads features beside the text."""

    NONE = "none"
    GATED = "gated"
    JOINT = "joint"


class Tying(StrEnum):
    """Which of source embedding, target embedding and output layer share one matrix."""

    NONE = "none"
    DECODER = "decoder"
    THREE_WAY = "three_way"


def _word_dropout() -> Any:
    """Return the declaration of ``word_dropout``, which all encoders and decoders share."""
    return setting(
        0.0,
        "Dropout of whole embeddings: if a piece is dropped, it is dropped at all of its positions "
        "in the sentence (Gal & Ghahramani 2016).",
        at_least=0,
        below=1,
        before=0.0,
    )


@dataclass(kw_only=True)
class AttentionConfig:
    """How an RNN decoder attends to the source; base of the kinds."""

    attends = True  # whether there are attention weights; a constant of the kind, not a setting
    name: str


@dataclass(kw_only=True)
class EncoderConfig:
    """Base of the encoders."""

    name: str


@dataclass(kw_only=True)
class RnnEncoderConfig(EncoderConfig):
    """A stack of GRU or LSTM layers."""

    name: str = "rnn"
    cell: str = setting(Cell.GRU, "Recurrent cell of every layer.", choices=Cell)
    embedding_size: int = setting(
        256, "Size of the source embeddings.", unit="units", at_least=1, at_most=LARGEST_SIZE
    )
    hidden_size: int = setting(
        256,
        "Size of each layer's state, per direction.",
        unit="units",
        at_least=1,
        at_most=LARGEST_SIZE,
    )
    num_layers: int = setting(
        1, "Number of layers.", unit="layers", at_least=1, at_most=MOST_LAYERS
    )
    bidirectional: bool = setting(True, "Whether each layer reads in both directions.")
    reverse: bool = setting(
        False,
        "Whether an encoder of one direction reads from right to left (Sutskever et al. 2014, "
        "section 3.3).",
        before=False,
    )
    dropout: float = setting(
        0.2, "Dropout on embeddings and on each layer's output.", at_least=0, below=1
    )
    word_dropout: float = _word_dropout()


@dataclass(kw_only=True)
class RegionEncoderConfig(EncoderConfig):
    """Reads features instead of the source text, e.g. for captions."""

    name: str = "regions"
    feature_size: int = setting(
        REQUIRED,
        "Size of the vector of a region in data.features.",
        unit="values",
        at_least=1,
        at_most=LARGEST_SIZE,
    )
    hidden_size: int = setting(
        256, "Size of a region's state.", unit="units", at_least=1, at_most=LARGEST_SIZE
    )
    dropout: float = setting(0.1, "Dropout on the states.", at_least=0, below=1)


@dataclass(kw_only=True)
class DecoderConfig:
    """Base of the decoders."""

    name: str


@dataclass(kw_only=True)
class RnnDecoderConfig(DecoderConfig):
    """A stack of GRU or LSTM layers that attends to the encoder's states."""

    name: str = "rnn"
    cell: str = setting(Cell.GRU, "Recurrent cell of every layer.", choices=Cell)
    embedding_size: int = setting(
        256, "Size of the target embeddings.", unit="units", at_least=1, at_most=LARGEST_SIZE
    )
    hidden_size: int = setting(
        256, "Size of each layer's state.", unit="units", at_least=1, at_most=LARGEST_SIZE
    )
    num_layers: int = setting(
        1, "Number of layers.", unit="layers", at_least=1, at_most=MOST_LAYERS
    )
    dropout: float = setting(
        0.2,
        "Dropout on embeddings, between layers and before the output layer.",
        at_least=0,
        below=1,
    )
    attention_dropout: float = setting(
        0.0,
        "Share of attention weights that training sets to 0 at random; the others are divided by 1 "
        "minus this share.",
        at_least=0,
        below=1,
        neutral=0.0,
    )
    word_dropout: float = _word_dropout()
    bridge: str = setting(
        Bridge.TANH,
        "How the encoder's summary gives the first state: by a tanh layer, by a linear layer, or "
        "not at all (zero).",
        choices=Bridge,
    )
    copy: str = setting(
        CopyKind.NONE,
        "How the decoder copies pieces of the source. none: it does not; pointer: it mixes copies "
        "of the attended pieces into its predictions (See et al. 2017, section 2.2), which needs "
        "tokenizer.joint=true.",
        choices=CopyKind,
        neutral=CopyKind.NONE,
    )
    attention: AttentionConfig = group("How the decoder attends to the source.")


@dataclass(kw_only=True)
class TransformerStackConfig(SelfAttentionConfig, DepthConfig):
    """Settings of a stack of Transformer layers (Vaswani et al. 2017)."""

    hidden_size: int = setting(
        256,
        "Size of embeddings and of each layer's output.",
        unit="units",
        at_least=1,
        at_most=LARGEST_SIZE,
    )
    feed_forward_size: int = setting(
        1024,
        "Inner size of the feed-forward layers.",
        unit="units",
        at_least=1,
        at_most=4 * LARGEST_SIZE,
    )
    num_layers: int = setting(
        2, "Number of layers.", unit="layers", at_least=1, at_most=MOST_LAYERS
    )
    num_heads: int = setting(
        4, "Number of attention heads; it divides hidden_size.", unit="heads", at_least=1
    )
    num_kv_heads: int | None = setting(
        None,
        "Number of heads of keys and values; it divides num_heads. null: num_heads; 1: "
        "multi-query attention; other values: grouped-query attention.",
        unit="heads",
        at_least=1,
        before=None,
    )
    qk_norm: bool = setting(
        False, "Whether queries and keys are normalized in each head.", before=False
    )
    positions: str = setting(
        Positions.SINUSOIDAL,
        "How the order of the pieces is represented.",
        choices=Positions,
        before=Positions.SINUSOIDAL,
    )
    norm: str = setting(
        NormPlace.PRE,
        "Whether a layer normalizes before its sublayers (pre) or after the residual sums (post, "
        "as published, which needs a longer warm-up).",
        choices=NormPlace,
    )
    norm_type: str = setting(
        NormType.LAYER, "LayerNorm or RMSNorm.", choices=NormType, before=NormType.LAYER
    )
    activation: str = setting(
        Activation.RELU,
        "Nonlinearity of the feed-forward layers.",
        choices=Activation,
        before=Activation.RELU,
    )
    dropout: float = setting(
        0.1, "Dropout on embeddings and on each residual branch.", at_least=0, below=1
    )
    attention_dropout: float = setting(0.0, "Dropout on attention weights.", at_least=0, below=1)
    feed_forward_dropout: float = setting(
        0.0, "Dropout inside the feed-forward layers.", at_least=0, below=1
    )
    word_dropout: float = _word_dropout()
    layer_drop: float = setting(
        0.0, "Dropout of whole layers (Fan et al. 2020).", at_least=0, below=1, before=0.0
    )


@dataclass(kw_only=True)
class TransformerEncoderConfig(TransformerStackConfig, ContextConfig, EncoderConfig):
    """A stack of self-attention layers (Vaswani et al. 2017)."""

    name: str = "transformer"


@dataclass(kw_only=True)
class TransformerDecoderConfig(TransformerStackConfig, TargetContextConfig, DecoderConfig):
    """A stack of self- and cross-attention layers (Vaswani et al. 2017)."""

    name: str = "transformer"


def copies(decoder: DecoderConfig) -> bool:
    """Return whether a decoder copies pieces of the source."""
    return getattr(decoder, "copy", CopyKind.NONE) != CopyKind.NONE


def attention_kind(decoder: DecoderConfig) -> str:
    """Return the kind of a decoder's attention for titles, e.g. ``bahdanau``."""
    attention = getattr(decoder, "attention", None)
    if attention is None:
        return "multi-head"
    window = getattr(attention, "window", "global")
    return attention.name if window == "global" else f"{attention.name} {window}"


@dataclass(kw_only=True)
class FeaturesConfig:
    """How a model reads features in addition to the text: an array [regions, size] per sentence."""

    combination: str = setting(
        Combination.NONE,
        "How the decoder attends to the regions. gated: by a separate attention, whose context a "
        "gate scales (Calixto et al. 2017); joint: by the attention over the text, with the states "
        "of the regions after those of the text; none: the model reads only text.",
        choices=Combination,
        neutral=Combination.NONE,
    )
    size: int | None = setting(
        None,
        "Size of the vector of a region in data.features.",
        unit="values",
        at_least=1,
        at_most=LARGEST_SIZE,
        neutral=None,
    )
    dropout: float = setting(
        0.0, "Dropout on the states of regions.", at_least=0, below=1, neutral=0.0
    )


@dataclass(kw_only=True)
class ModelConfig:
    """The model: any encoder with any decoder."""

    encoder: EncoderConfig = group("The encoder.")
    decoder: DecoderConfig = group("The decoder.")
    features: FeaturesConfig = section(
        FeaturesConfig,
        "Features in addition to the text; data.features names their files.",
        neutral=True,
    )
    tying: str = setting(
        Tying.THREE_WAY,
        "Which matrices are shared: none; target embedding and output layer (decoder); or source "
        "embedding, target embedding and output layer (three_way).",
        choices=Tying,
    )
    initialization: str = setting(
        Initialization.GLOROT,
        "Distribution of new weight matrices: uniform (glorot, Glorot & Bengio 2010, eq. 16), or "
        "normal with variance 2 / inputs (he, He et al. 2015, eq. 10), which is meant for ReLU; "
        "embeddings and recurrent matrices have other distributions, and biases are 0.",
        choices=Initialization,
        neutral=Initialization.GLOROT,
    )
