"""What is impossible among the settings of a model."""

from collections.abc import Iterator

from nmt.config.model import (
    AttentionConfig,
    BahdanauAttentionConfig,
    DecoderConfig,
    EncoderConfig,
    LuongConcatAttentionConfig,
    LuongLocationAttentionConfig,
    ModelConfig,
    MultiHeadAttentionConfig,
    RnnDecoderConfig,
    RnnEncoderConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    WindowedAttentionConfig,
)
from nmt.config.ranges import Fault, at_least, one_of, probability

_POSITIONS = ("sinusoidal", "learned", "relative", "t5_bias", "rotary", "alibi")
_ATTENTION = "model.decoder.attention"


def check_model(model: ModelConfig, *, joint: bool) -> Iterator[Fault]:
    """Yield what is wrong with a model whose vocabulary is joint or not."""
    yield from _encoder(model.encoder)
    yield from _decoder(model.decoder)
    yield from one_of("model.tying", model.tying, "none", "decoder", "three_way")
    if model.tying == "three_way" and not joint:
        yield (
            "model.tying=three_way needs one vocabulary: set tokenizer.joint=true "
            "or model.tying=decoder"
        )
    source, target = _embedding_size(model.encoder), _embedding_size(model.decoder)
    if model.tying == "three_way" and source != target:
        yield (
            f"model.tying=three_way needs equal embedding sizes, but the encoder's is {source} "
            f"and the decoder's {target}: make them equal or set model.tying=decoder"
        )
    if model.tying != "none" and isinstance(model.decoder, RnnDecoderConfig):
        yield from _tied_output(model.decoder, model.tying)


def _tied_output(decoder: RnnDecoderConfig, tying: str) -> Iterator[Fault]:
    """Yield a fault where the output layer cannot be the embedding: their sizes differ."""
    key, size = "model.decoder.hidden_size", decoder.hidden_size
    maxout = getattr(decoder.attention, "maxout_size", None)
    if maxout is not None:
        key, size = f"{_ATTENTION}.maxout_size", maxout
    if decoder.embedding_size != size:
        yield (
            f"model.tying={tying} needs model.decoder.embedding_size ({decoder.embedding_size}) "
            f"equal to {key} ({size}): make them equal or set model.tying=none"
        )


def _embedding_size(part: EncoderConfig | DecoderConfig) -> int:
    if isinstance(part, RnnEncoderConfig | RnnDecoderConfig):
        return part.embedding_size
    assert isinstance(part, TransformerEncoderConfig | TransformerDecoderConfig)
    return part.hidden_size


def _encoder(encoder: EncoderConfig) -> Iterator[Fault]:
    if isinstance(encoder, RnnEncoderConfig):
        yield from _rnn("model.encoder", encoder)
        if encoder.reverse and encoder.bidirectional:
            yield (
                "model.encoder.reverse=true means nothing to an encoder that reads both ways: "
                "set model.encoder.bidirectional=false or reverse=false"
            )
    if isinstance(encoder, TransformerEncoderConfig):
        yield from _transformer("model.encoder", encoder)


def _decoder(decoder: DecoderConfig) -> Iterator[Fault]:
    if isinstance(decoder, RnnDecoderConfig):
        yield from _rnn("model.decoder", decoder)
        yield from one_of("model.decoder.bridge", decoder.bridge, "tanh", "linear", "zero")
        yield from _attention(decoder.attention, decoder.hidden_size)
        if decoder.attention.name == "none" and decoder.bridge == "zero":
            yield (
                "model.decoder.bridge=zero with attention=none leaves the decoder blind "
                "to the source: use bridge=tanh"
            )
    if isinstance(decoder, TransformerDecoderConfig):
        yield from _transformer("model.decoder", decoder)


def _attention(attention: AttentionConfig, hidden_size: int) -> Iterator[Fault]:
    if isinstance(attention, WindowedAttentionConfig):
        kinds = ("global", "local_m", "local_p")
        yield from one_of(f"{_ATTENTION}.window", attention.window, *kinds)
        yield from at_least(f"{_ATTENTION}.window_size", attention.window_size, 1)
    if isinstance(attention, BahdanauAttentionConfig | LuongConcatAttentionConfig):
        yield from at_least(f"{_ATTENTION}.size", attention.size, 1)
        kinds = ("none", "sum", "fertility")
        yield from one_of(f"{_ATTENTION}.coverage", attention.coverage, *kinds)
    if isinstance(attention, BahdanauAttentionConfig) and attention.maxout_size is not None:
        yield from at_least(f"{_ATTENTION}.maxout_size", attention.maxout_size, 1)
    if isinstance(attention, LuongLocationAttentionConfig):
        yield from at_least(f"{_ATTENTION}.max_source_length", attention.max_source_length, 1)
    if isinstance(attention, MultiHeadAttentionConfig):
        yield from _heads(_ATTENTION, attention.num_heads, "model.decoder", hidden_size)


def _rnn(key: str, part: RnnEncoderConfig | RnnDecoderConfig) -> Iterator[Fault]:
    yield from one_of(f"{key}.cell", part.cell, "gru", "lstm")
    for name in ("embedding_size", "hidden_size", "num_layers"):
        yield from at_least(f"{key}.{name}", getattr(part, name), 1)
    for name in ("dropout", "word_dropout"):
        yield from probability(f"{key}.{name}", getattr(part, name))


def _heads(key: str, heads: int, owner: str, size: int) -> Iterator[Fault]:
    yield from at_least(f"{key}.num_heads", heads, 1)
    if heads >= 1 and size % heads:
        yield f"{key}.num_heads={heads} does not divide {owner}.hidden_size={size}"


def _transformer(
    key: str, part: TransformerEncoderConfig | TransformerDecoderConfig
) -> Iterator[Fault]:
    yield from one_of(f"{key}.norm", part.norm, "pre", "post")
    yield from one_of(f"{key}.norm_type", part.norm_type, "layer", "rms")
    yield from one_of(f"{key}.activation", part.activation, "relu", "gelu", "swiglu")
    for name in ("hidden_size", "feed_forward_size", "num_layers"):
        yield from at_least(f"{key}.{name}", getattr(part, name), 1)
    yield from _heads(key, part.num_heads, key, part.hidden_size)
    if part.num_kv_heads is not None:
        yield from _kv_heads(key, part.num_heads, part.num_kv_heads)
    yield from _positions(key, part)
    dropouts = ("dropout", "attention_dropout", "feed_forward_dropout", "word_dropout")
    for name in (*dropouts, "layer_drop"):
        yield from probability(f"{key}.{name}", getattr(part, name))


def _kv_heads(key: str, heads: int, kv_heads: int) -> Iterator[Fault]:
    yield from at_least(f"{key}.num_kv_heads", kv_heads, 1)
    if kv_heads >= 1 and heads % kv_heads:
        yield (
            f"{key}.num_kv_heads={kv_heads} does not divide {key}.num_heads={heads}: "
            "every head of keys and values serves as many heads of queries"
        )


def _positions(
    key: str, part: TransformerEncoderConfig | TransformerDecoderConfig
) -> Iterator[Fault]:
    yield from one_of(f"{key}.positions", part.positions, *_POSITIONS)
    if part.positions == "sinusoidal" and part.hidden_size % 2:
        yield f"{key}.hidden_size={part.hidden_size} is odd; sinusoidal positions need an even one"
    if part.positions == "rotary" and part.num_heads >= 1:
        size = part.hidden_size // part.num_heads
        if size % 2:
            yield (
                f"{key}.positions=rotary turns pairs of units, but a head has {size} "
                f"({key}.hidden_size={part.hidden_size} / {key}.num_heads={part.num_heads}): "
                "choose fewer or more heads"
            )
