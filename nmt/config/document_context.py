"""Settings of how a model reads the previous sentences of a document."""

from dataclasses import dataclass
from enum import StrEnum

from nmt.config.setting import setting

SETTING = "model.encoder.context=hierarchical"
DECODER_SETTING = "model.decoder.context=hierarchical"
"""The names of these settings in messages."""


class Context(StrEnum):
    """How an encoder or a decoder reads the previous sentences."""

    CONCATENATED = "concatenated"
    HIERARCHICAL = "hierarchical"


@dataclass(kw_only=True)
class ContextConfig:
    """The context of a document; ``nmt/model/documents`` has the formulas."""

    context: str = setting(
        Context.CONCATENATED,
        "How the previous sentences of data.context_sentences are read. concatenated: together "
        "with the sentence, as one longer sentence (Tiedemann & Scherrer 2017); hierarchical: "
        "each separately, by attention over its words and then over the sentences (Miculicich et "
        "al. 2018).",
        choices=Context,
        neutral=Context.CONCATENATED,
    )


@dataclass(kw_only=True)
class TargetContextConfig:
    """The target context of a document; see ``nmt/model/documents/hierarchical_decoder.py``."""

    context: str = setting(
        Context.CONCATENATED,
        "How the previous target sentences of data.context_targets are read. concatenated: as the "
        "beginning of one longer sentence, which the decoder writes (Tiedemann & Scherrer 2017); "
        "hierarchical: each separately, by attention over the states of its words and then over "
        "the sentences (Miculicich et al. 2018).",
        choices=Context,
        neutral=Context.CONCATENATED,
    )


def is_hierarchical(part: object) -> bool:
    """Return whether the settings of an encoder or decoder choose hierarchical attention."""
    return getattr(part, "context", None) == Context.HIERARCHICAL
