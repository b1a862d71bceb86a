"""Checks what cannot be combined with hierarchical attention over previous sentences."""

from collections.abc import Iterator

from nmt.config.document_context import SETTING, is_hierarchical
from nmt.config.schema import Config
from nmt.config.self_attention import PACKABLE


def check_context(config: Config) -> Iterator[str]:
    """Yield a message for each impossible combination."""
    encoder, data = config.model.encoder, config.data
    if not is_hierarchical(encoder):
        return
    if not data.context_sentences:
        yield (
            f"{SETTING} attends to previous sentences, but data.context_sentences is 0: set it to "
            "1 or more, or model.encoder.context=concatenated"
        )
    if data.context_targets:
        yield (
            f"{SETTING} shows the decoder the states of the current sentence alone, but "
            f"data.context_targets={data.context_targets} makes it write the previous ones too: "
            "set it to 0"
        )
    kind = getattr(encoder, "self_attention", "full")
    if kind not in PACKABLE:
        yield (
            f"{SETTING} keeps self-attention within each sentence of a row, for which "
            f"model.encoder.self_attention={kind} has no form: choose {' or '.join(PACKABLE)}"
        )
    yield from _attention_by_position(config)


def _attention_by_position(config: Config) -> Iterator[str]:
    attention = getattr(config.model.decoder, "attention", None)
    window = getattr(attention, "window", "global")
    name = getattr(attention, "name", "")
    if name == "luong_location" or window != "global":
        found = "model/decoder/attention=luong_location"
        if window != "global":
            found = f"model.decoder.attention.window={window}"
        yield (
            f"{SETTING} leaves the previous sentences before the current one, but {found} attends "
            "by the position in the whole row: choose another attention"
        )
