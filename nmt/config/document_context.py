"""Settings of how a model reads the previous sentences of a document."""

from dataclasses import dataclass
from enum import StrEnum

from nmt.config.setting import setting

SETTING = "model.encoder.context=hierarchical"
DECODER_SETTING = "model.decoder.context=hierarchical"
"""How messages name them."""


class Context(StrEnum):
    """How an encoder or a decoder reads the previous sentences that are before a sentence."""

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


@dataclass(kw_only=True)
class TargetContextConfig:
    """The target context of a document; see ``nmt/model/hierarchical_decoder.py``."""

    context: str = setting(
        Context.CONCATENATED,
        "How the previous target sentences of data.context_targets are read: as the beginning of "
        "one longer sentence, which the decoder writes (concatenated, Tiedemann & Scherrer 2017), "
        "or each on its own, by attention over the states of its words and then over the "
        "sentences (hierarchical, Miculicich et al. 2018).",
        choices=Context,
        neutral=Context.CONCATENATED,
    )


def is_hierarchical(part: object) -> bool:
    """Return whether an encoder or a decoder, by its settings, reads each sentence on its own."""
    return getattr(part, "context", None) == Context.HIERARCHICAL
