"""Checks combinations of the settings of a model."""

from collections.abc import Iterator

from nmt.config.model import (
    Bridge,
    DecoderConfig,
    EncoderConfig,
    ModelConfig,
    Positions,
    RegionEncoderConfig,
    RnnDecoderConfig,
    RnnEncoderConfig,
    TransformerStackConfig,
    Tying,
)
from nmt.config.self_attention import check_self_attention
from nmt.config.stack_depth import check_depth


def check_model(model: ModelConfig, *, joint: bool) -> Iterator[str]:
    """Yield a message for each impossible combination.

    Args:
        model: The settings.
        joint: Whether both languages share one vocabulary.
    """
    yield from _encoder(model.encoder)
    yield from _decoder(model.decoder)
    if model.tying == Tying.THREE_WAY and not joint:
        yield (
            "model.tying=three_way needs one vocabulary: set tokenizer.joint=true "
            "or model.tying=decoder"
        )
    source, target = _embedding_size(model.encoder), _embedding_size(model.decoder)
    if model.tying == Tying.THREE_WAY and source not in (None, target):
        yield (
            f"model.tying=three_way needs equal embedding sizes, but the encoder's is {source} "
            f"and the decoder's {target}: make them equal or set model.tying=decoder"
        )
    if model.tying != Tying.NONE and isinstance(model.decoder, RnnDecoderConfig):
        yield from _tied_output(model.decoder, model.tying)


def _tied_output(decoder: RnnDecoderConfig, tying: str) -> Iterator[str]:
    """Refuse a tied output layer whose input size differs from that of the embedding."""
    key, size = "model.decoder.hidden_size", decoder.hidden_size
    maxout = getattr(decoder.attention, "maxout_size", None)
    if maxout is not None:
        key, size = "model.decoder.attention.maxout_size", maxout
    if decoder.embedding_size != size:
        yield (
            f"model.tying={tying} needs model.decoder.embedding_size ({decoder.embedding_size}) "
            f"equal to {key} ({size}): make them equal or set model.tying=none"
        )


def _embedding_size(part: EncoderConfig | DecoderConfig) -> int | None:
    """Return the size of the embeddings; None: there are none."""
    if isinstance(part, RegionEncoderConfig):
        return None
    if isinstance(part, RnnEncoderConfig | RnnDecoderConfig):
        return part.embedding_size
    assert isinstance(part, TransformerStackConfig)
    return part.hidden_size


def _encoder(encoder: EncoderConfig) -> Iterator[str]:
    if isinstance(encoder, RnnEncoderConfig) and encoder.reverse and encoder.bidirectional:
        yield (
            "model.encoder.reverse=true has no effect on an encoder that reads in both directions: "
            "set model.encoder.bidirectional=false or reverse=false"
        )
    if isinstance(encoder, TransformerStackConfig):
        yield from _transformer("model.encoder", encoder)


def _decoder(decoder: DecoderConfig) -> Iterator[str]:
    if isinstance(decoder, RnnDecoderConfig):
        if not decoder.attention.attends and decoder.bridge == Bridge.ZERO:
            yield (
                "model.decoder.bridge=zero with attention=none gives the decoder no access to the "
                "source: use bridge=tanh"
            )
        if not decoder.attention.attends and decoder.attention_dropout:
            yield (
                f"model.decoder.attention_dropout={decoder.attention_dropout:g} has no effect with "
                "model/decoder/attention=none, which has no attention weights: set it to 0 or "
                "choose an attention"
            )
        heads = getattr(decoder.attention, "num_heads", 1)
        yield from _heads("model.decoder.attention", heads, "model.decoder", decoder.hidden_size)
    if isinstance(decoder, TransformerStackConfig):
        yield from _transformer("model.decoder", decoder)


def _heads(key: str, heads: int, owner: str, size: int) -> Iterator[str]:
    if heads >= 1 and size % heads:
        yield (
            f"{key}.num_heads={heads} does not divide {owner}.hidden_size={size}: choose a divisor"
        )


def _transformer(key: str, part: TransformerStackConfig) -> Iterator[str]:
    yield from _heads(key, part.num_heads, key, part.hidden_size)
    yield from check_self_attention(key.removeprefix("model."), part)
    yield from check_depth(key.removeprefix("model."), part)
    if part.num_kv_heads is not None and part.num_kv_heads >= 1:
        yield from _kv_heads(key, part.num_heads, part.num_kv_heads)
    if part.positions == Positions.SINUSOIDAL and part.hidden_size % 2:
        yield f"{key}.hidden_size={part.hidden_size} is odd; sinusoidal positions need an even size"
    if part.positions == Positions.ROTARY and part.num_heads >= 1:
        size = part.hidden_size // part.num_heads
        if size % 2:
            yield (
                f"{key}.positions=rotary rotates pairs of units, but a head has {size} "
                f"({key}.hidden_size={part.hidden_size} / {key}.num_heads={part.num_heads}): "
                "choose fewer or more heads"
            )


def _kv_heads(key: str, heads: int, kv_heads: int) -> Iterator[str]:
    if heads % kv_heads:
        yield (
            f"{key}.num_kv_heads={kv_heads} does not divide {key}.num_heads={heads}: each head of "
            "keys and values serves the same number of query heads"
        )
