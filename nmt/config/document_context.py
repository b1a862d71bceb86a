"""Settings of how an encoder reads the previous sentences of a document."""

from dataclasses import dataclass
from enum import StrEnum

from nmt.config.setting import setting


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
