"""Context: previous sentences of a document before a sentence (Tiedemann & Scherrer 2017).

A separator, which is a symbol of the tokenizer, follows each of them. All are one text::

    The cup fell. <brk> It broke.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from nmt.config.data import DataConfig
from nmt.text.special_tokens import SENTENCE_BREAK

Item = TypeVar("Item")


def join_sentences(context: Sequence[str], sentence: str) -> str:
    """Return the context, oldest first, and the sentence as one text with separators."""
    return f" {SENTENCE_BREAK} ".join([*context, sentence])


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text with context; the last one is the sentence itself."""
    return [part.strip() for part in text.split(SENTENCE_BREAK)]


def own_sentence(text: str) -> str:
    """Return the last sentence of a text with context."""
    return text.rpartition(SENTENCE_BREAK)[2].strip() if SENTENCE_BREAK in text else text


@dataclass(frozen=True)
class ContextSize:
    """How many previous sentences a model reads.

    Attributes:
        sources: Number of previous source sentences.
        targets: Number of previous target sentences, at most ``sources``.
        max_length: Maximum pieces of a side, context included; the oldest sentences are left out.
    """

    sources: int
    targets: int
    max_length: int

    def __bool__(self) -> bool:
        """Return whether the model reads context."""
        return self.sources > 0

    @classmethod
    def of(cls, data: DataConfig) -> "ContextSize":
        """Return the size in the settings of a corpus."""
        return cls(data.context_sentences, data.context_targets, data.max_length)


NO_CONTEXT = ContextSize(0, 0, 1)
"""The size of a model that reads single sentences."""


class PreviousSentences(Generic[Item]):
    """The last sentences of a document.

    Sentences are texts or lists of piece ids.
    """

    def __init__(self, size: ContextSize) -> None:
        """Keep at most ``size.sources`` sentences."""
        self._size = size
        self._kept: deque[tuple[tuple[Item, int], tuple[Item, int]]] = deque(maxlen=size.sources)

    def begin(self) -> None:
        """Begin a document: there are no previous sentences."""
        self._kept.clear()

    def add(self, source: tuple[Item, int], target: tuple[Item, int]) -> None:
        """Add a sentence and its translation, each with its number of pieces."""
        self._kept.append((source, target))

    def context(self, source: int, target: int = 0) -> tuple[list[Item], list[Item]]:
        """Return the previous sentences of both sides for a sentence, oldest first.

        The oldest are left out, so that a side with its separators has at most ``max_length``
        pieces. There are never more targets than sources.

        Args:
            source: Number of pieces of the sentence.
            target: Number of pieces of its translation; 0 if it is not known.
        """
        sources = self._fitting([one[0] for one in self._kept], source, self._size.sources)
        most = min(self._size.targets, len(sources))
        return sources, self._fitting([one[1] for one in self._kept], target, most)

    def _fitting(self, kept: Sequence[tuple[Item, int]], pieces: int, most: int) -> list[Item]:
        found: list[Item] = []
        for item, length in reversed(kept):
            pieces += length + 1  # the separator
            if len(found) == most or pieces > self._size.max_length:
                break
            found.append(item)
        return found[::-1]
