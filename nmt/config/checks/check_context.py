"""Checks the settings beside hierarchical attention over the sentences of a document."""

from collections.abc import Iterator

from nmt.config.document_context import DECODER_SETTING, SETTING, is_hierarchical
from nmt.config.model import Combination
from nmt.config.schema import Config
from nmt.config.self_attention import PACKABLE


def check_context(config: Config) -> Iterator[str]:
    """Yield a message for each setting that hierarchical attention over sentences excludes."""
    if is_hierarchical(config.model.encoder):
        yield from _check_encoder(config)
    if is_hierarchical(config.model.decoder):
        yield from _check_decoder(config)


def _check_encoder(config: Config) -> Iterator[str]:
    encoder, data = config.model.encoder, config.data
    if not data.context_sentences:
        yield (
            f"{SETTING} attends to previous sentences, but data.context_sentences is 0: set it to "
            "1 or more, or model.encoder.context=concatenated"
        )
    if data.context_targets and not is_hierarchical(config.model.decoder):
        yield (
            f"{SETTING} shows the decoder the states of the current sentence alone, but "
            f"data.context_targets={data.context_targets} makes it write previous sentences, too: "
            f"set data.context_targets=0, or choose {DECODER_SETTING}"
        )
    kind = getattr(encoder, "self_attention", "full")
    if kind not in PACKABLE:
        yield (
            f"{SETTING} limits self-attention to each sentence of a row, which "
            f"model.encoder.self_attention={kind} does not support: choose {' or '.join(PACKABLE)}"
        )
    yield from _attention_by_position(config)


def _check_decoder(config: Config) -> Iterator[str]:
    decoder, data = config.model.decoder, config.data
    if not data.context_targets:
        yield (
            f"{DECODER_SETTING} attends to previous target sentences, but data.context_targets is "
            "0: set it to 1 or more, or model.decoder.context=concatenated"
        )
    kind = getattr(decoder, "self_attention", "full")
    if kind not in PACKABLE:
        yield (
            f"{DECODER_SETTING} limits self-attention to each sentence of a row, which "
            f"model.decoder.self_attention={kind} does not support: choose {' or '.join(PACKABLE)}"
        )
    combination = config.model.features.combination
    if combination != Combination.NONE:
        yield (
            f"{DECODER_SETTING} needs a source for each previous sentence, but "
            f"model.features.combination={combination} reads features of the current sentence "
            "alone: set model.features.combination=none"
        )
    if config.model.encoder.name == "regions":
        yield f"{DECODER_SETTING} reads a source text, but model/encoder=regions has none"


def _attention_by_position(config: Config) -> Iterator[str]:
    attention = getattr(config.model.decoder, "attention", None)
    window = getattr(attention, "window", "global")
    name = getattr(attention, "name", "")
    if name == "luong_location" or window != "global":
        found = "model/decoder/attention=luong_location"
        if window != "global":
            found = f"model.decoder.attention.window={window}"
        yield (
            f"{SETTING} keeps the previous sentences in the row before the current one, but "
            f"{found} attends by the position in the whole row: choose another attention"
        )
