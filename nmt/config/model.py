"""Settings of the model: an encoder, a decoder and, for the RNN decoder, an attention.

Each choice is a subclass with its own ``name``; values live in ``configs/model``.
"""

from dataclasses import dataclass

LEARNED_POSITIONS = 1024
"""Positions that ``positions=learned`` tells apart, EOS counted."""


@dataclass(kw_only=True)
class AttentionConfig:
    """How an RNN decoder looks at the source; subclasses name the kind."""

    name: str


@dataclass(kw_only=True)
class WindowedAttentionConfig(AttentionConfig):
    """Attention that may be kept to a part of the source (Luong et al. 2015, section 3.2)."""

    window: str  # global | local_m (centre at the target's position) | local_p (centre predicted)
    window_size: int  # D: source positions on each side of the centre


@dataclass(kw_only=True)
class BahdanauAttentionConfig(WindowedAttentionConfig):
    """Additive attention, attended before the state update (Bahdanau et al. 2015)."""

    name: str = "bahdanau"
    size: int  # width of the alignment model's hidden layer
    coverage: str  # none | sum | fertility: the score is told what was attended to so far
    maxout_size: int | None  # units of RNNsearch's maxout read-out; null: a tanh layer


@dataclass(kw_only=True)
class LuongAttentionConfig(WindowedAttentionConfig):
    """Attention after the state update (Luong et al. 2015); base of its score functions."""

    input_feeding: bool  # feed the attentional state into the next step's input


@dataclass(kw_only=True)
class LuongDotAttentionConfig(LuongAttentionConfig):
    """Score: h_t · h_s, the encoder states first mapped to the decoder's size."""

    name: str = "luong_dot"


@dataclass(kw_only=True)
class LuongGeneralAttentionConfig(LuongAttentionConfig):
    """Score: h_t · W h_s."""

    name: str = "luong_general"


@dataclass(kw_only=True)
class LuongConcatAttentionConfig(LuongAttentionConfig):
    """Score: v · tanh(W [h_t; h_s])."""

    name: str = "luong_concat"
    size: int  # width of the tanh layer
    coverage: str  # none | sum | fertility


@dataclass(kw_only=True)
class LuongLocationAttentionConfig(LuongAttentionConfig):
    """Score: W h_t, from the target state alone, one number for each source position."""

    name: str = "luong_location"
    max_source_length: int  # positions scored; pieces behind them are not attended to


@dataclass(kw_only=True)
class ScaledDotAttentionConfig(LuongAttentionConfig):
    """Score: h_t · h_s / sqrt(size) (Vaswani et al. 2017, eq. 1), in Luong's decoder."""

    name: str = "scaled_dot"


@dataclass(kw_only=True)
class MultiHeadAttentionConfig(LuongAttentionConfig):
    """Multi-head attention (Vaswani et al. 2017, section 3.2.2) in Luong's decoder."""

    name: str = "multi_head"
    num_heads: int


@dataclass(kw_only=True)
class NoAttentionConfig(AttentionConfig):
    """No attention: one fixed vector stands for the source (Sutskever 2014, Cho 2014)."""

    name: str = "none"


@dataclass(kw_only=True)
class EncoderConfig:
    """Base of the encoders."""

    name: str


@dataclass(kw_only=True)
class RnnEncoderConfig(EncoderConfig):
    """A stack of GRU or LSTM layers."""

    name: str = "rnn"
    cell: str  # gru | lstm
    embedding_size: int
    hidden_size: int  # units of one direction
    num_layers: int
    bidirectional: bool
    reverse: bool  # read from right to left (Sutskever et al. 2014, section 3.3)
    dropout: float  # on embeddings and on each layer's output
    word_dropout: float  # on whole embeddings (Gal & Ghahramani 2016)


@dataclass(kw_only=True)
class TransformerEncoderConfig(EncoderConfig):
    """A stack of self-attention layers (Vaswani et al. 2017)."""

    name: str = "transformer"
    hidden_size: int
    feed_forward_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int | None  # heads of keys and values; null: num_heads; 1: multi-query
    qk_norm: bool  # normalise queries and keys in each head
    positions: str  # sinusoidal | learned | relative | t5_bias | rotary | alibi
    norm: str  # pre | post: where the normalisation stands
    norm_type: str  # layer | rms
    activation: str  # relu | gelu | swiglu: of the feed-forward layer
    dropout: float  # on embeddings and on each residual branch
    attention_dropout: float  # on attention weights
    feed_forward_dropout: float  # inside the feed-forward layer
    word_dropout: float  # on whole embeddings (Gal & Ghahramani 2016)
    layer_drop: float  # on whole layers (Fan et al. 2020)


@dataclass(kw_only=True)
class DecoderConfig:
    """Base of the decoders."""

    name: str


@dataclass(kw_only=True)
class RnnDecoderConfig(DecoderConfig):
    """A stack of GRU or LSTM layers that attends to the encoder's states."""

    name: str = "rnn"
    cell: str  # gru | lstm
    embedding_size: int
    hidden_size: int
    num_layers: int
    dropout: float  # on embeddings, between layers and before the output layer
    word_dropout: float  # on whole embeddings (Gal & Ghahramani 2016)
    bridge: str  # tanh | linear | zero: from the encoder's summary to the first state
    attention: AttentionConfig


@dataclass(kw_only=True)
class TransformerDecoderConfig(DecoderConfig):
    """A stack of self- and cross-attention layers (Vaswani et al. 2017)."""

    name: str = "transformer"
    hidden_size: int
    feed_forward_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int | None  # heads of keys and values; null: num_heads; 1: multi-query
    qk_norm: bool  # normalise queries and keys in each head
    positions: str  # sinusoidal | learned | relative | t5_bias | rotary | alibi
    norm: str  # pre | post: where the normalisation stands
    norm_type: str  # layer | rms
    activation: str  # relu | gelu | swiglu: of the feed-forward layer
    dropout: float
    attention_dropout: float
    feed_forward_dropout: float
    word_dropout: float
    layer_drop: float


@dataclass(kw_only=True)
class ModelConfig:
    """Any encoder with any decoder."""

    encoder: EncoderConfig
    decoder: DecoderConfig
    tying: str  # none | decoder (target embedding = output layer) | three_way (source too)
