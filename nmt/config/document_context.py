"""Settings of how an encoder reads the previous sentences of a document."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from nmt.config.self_attention import PACKABLE
from nmt.config.setting import setting

if TYPE_CHECKING:
    from nmt.config.schema import Config


class Context(StrEnum):
    """How an encoder reads the previous sentences that are before a sentence."""

    CONCATENATED = "concatenated"
    HIERARCHICAL = "hierarchical"


@dataclass(kw_only=True)
class ContextConfig:
    """The context of a document; the formulas are in ``nmt/model/hierarchical_attention.py``."""

    context: str = setting(
        Context.CONCATENATED,
        "How the previous sentences of data.context_sentences are read: with the sentence, as one "
        "longer sentence (concatenated, Tiedemann & Scherrer 2017), or each on its own, by "
        "attention over its words and then over the sentences (hierarchical, Miculicich et al. "
        "2018).",
        choices=Context,
        neutral=Context.CONCATENATED,
    )


def is_hierarchical(encoder: object) -> bool:
    """Return whether an encoder reads each previous sentence on its own."""
    return getattr(encoder, "context", None) == Context.HIERARCHICAL


SETTING = "model.encoder.context=hierarchical"


def check_context(config: "Config") -> Iterator[str]:
    """Yield a message for each setting that hierarchical attention over sentences excludes."""
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


def _attention_by_position(config: "Config") -> Iterator[str]:
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
