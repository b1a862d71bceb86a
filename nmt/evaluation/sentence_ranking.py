"""Sentences ranked by chrF2: the worst of a system, and those where two systems differ most."""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.evaluation.metrics import sentence_chrf


@dataclass(frozen=True)
class RankedSentence:
    """A sentence with its translations.

    Attributes:
        number: Its line in the test set, from 1.
        source: The sentence; None: unknown.
        reference: The first reference.
        translations: One per system.
        chrf: The chrF2 of each translation, in percent.
    """

    number: int
    source: str | None
    reference: str
    translations: list[str]
    chrf: list[float]


def rank_sentences(
    systems: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    source: Sequence[str] | None = None,
) -> list[RankedSentence]:
    """Return all sentences with the chrF2 of each translation, in the order of the test set."""
    scores = [
        [
            sentence_chrf(text, known)
            for text, known in zip(translations, zip(*references, strict=True), strict=True)
        ]
        for translations in systems
    ]
    return [
        RankedSentence(
            number=i + 1,
            source=None if source is None else source[i],
            reference=references[0][i],
            translations=[translations[i] for translations in systems],
            chrf=[column[i] for column in scores],
        )
        for i in range(len(references[0]))
    ]


def worst(sentences: Sequence[RankedSentence], count: int, system: int = 0) -> list[RankedSentence]:
    """Return the sentences with the lowest chrF2 of one system, the worst first."""
    return sorted(sentences, key=lambda one: one.chrf[system])[:count]


def most_different(
    sentences: Sequence[RankedSentence], count: int, first: int = 0, second: int = 1
) -> list[RankedSentence]:
    """Return the sentences where the chrF2 of two systems differs most; never equal texts."""
    different = [one for one in sentences if one.translations[first] != one.translations[second]]
    return sorted(different, key=lambda one: -abs(one.chrf[first] - one.chrf[second]))[:count]
