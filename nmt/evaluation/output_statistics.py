"""Faults that BLEU does not show: empty, copied, repetitive or truncated translations."""

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_REPEATED = 4  # greatest number of words of a repeated sequence
REPETITIONS = 3  # least number of occurrences in a row


@dataclass(frozen=True)
class OutputStatistics:
    """Counts over the translations of one system.

    Attributes:
        sentences: The number of translations.
        length_ratio: Words of all translations divided by those of the first references.
        empty: Translations without text of sentences whose reference has text.
        copies: Translations that equal their source, but not a reference; None: no sources known.
        repetitive: Translations in which a sequence of up to 4 words occurs at least 3 times in a
            row, if this holds for no reference.
        truncated: Translations that reached the greatest length; None: unknown.
    """

    sentences: int
    length_ratio: float
    empty: int
    copies: int | None
    repetitive: int
    truncated: int | None


def output_statistics(
    translations: Sequence[str],
    references: Sequence[Sequence[str]],
    source: Sequence[str] | None = None,
    truncated: Sequence[bool] | None = None,
) -> OutputStatistics:
    """Count translations that a reader would call faulty.

    Args:
        translations: One per sentence.
        references: One list per translator, each with one reference per sentence.
        source: The sentences.
        truncated: Whether the translation of each sentence reached the greatest length.
    """
    rows = list(zip(translations, zip(*references, strict=True), strict=True))
    reference_words = sum(len(reference.split()) for reference in references[0])
    words = sum(len(text.split()) for text in translations)
    copies = None
    if source is not None:
        copies = sum(
            is_copy(text, sentence, known)
            for (text, known), sentence in zip(rows, source, strict=True)
        )
    return OutputStatistics(
        sentences=len(rows),
        length_ratio=words / reference_words if reference_words else 0.0,
        empty=sum(not text.strip() and any(k.strip() for k in known) for text, known in rows),
        copies=copies,
        repetitive=sum(
            is_repetitive(text) and not any(map(is_repetitive, known)) for text, known in rows
        ),
        truncated=None if truncated is None else sum(truncated),
    )


def is_copy(translation: str, source: str, references: Sequence[str]) -> bool:
    """Return whether a translation equals its source and no reference, and is not empty."""
    text = translation.strip()
    return bool(text) and text == source.strip() and text not in {r.strip() for r in references}


def is_repetitive(text: str) -> bool:
    """Return whether a sequence of 1 to 4 words occurs at least 3 times in a row."""
    words = text.split()
    for length in range(1, LONGEST_REPEATED + 1):
        run = 0  # consecutive words that equal the word `length` positions earlier
        for position in range(length, len(words)):
            run = run + 1 if words[position] == words[position - length] else 0
            if run == length * (REPETITIONS - 1):
                return True
    return False
