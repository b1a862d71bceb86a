"""Previous sentences of a document before a sentence, with a separator (Tiedemann & Scherrer 2017).

The separator is a symbol of the tokenizer. A sentence with its context is one text::

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
    """Return a sentence after its context, oldest first."""
    return f" {SENTENCE_BREAK} ".join([*context, sentence])


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text with context; the last one is not context."""
    return [part.strip() for part in text.split(SENTENCE_BREAK)]


def own_sentence(text: str) -> str:
    """Return a text without its context."""
    return text.rpartition(SENTENCE_BREAK)[2].strip() if SENTENCE_BREAK in text else text


@dataclass(frozen=True)
class ContextSize:
    """How many previous sentences a model reads.

    Attributes:
        sources: Previous source sentences before a source sentence.
        targets: Previous target sentences before a target sentence.
        max_length: Pieces of a side, context included; older sentences are left out before that.
    """

    sources: int
    targets: int
    max_length: int

    def __bool__(self) -> bool:
        """Return whether the model reads context."""
        return self.sources > 0

    @classmethod
    def of(cls, data: DataConfig) -> "ContextSize":
        """Return the size that a corpus is prepared with."""
        return cls(data.context_sentences, data.context_targets, data.max_length)


NO_CONTEXT = ContextSize(0, 0, 1)
"""Of a model that reads single sentences."""


class PreviousSentences(Generic[Item]):
    """The last sentences of a document.

    Sentences are texts or lists of piece ids.
    """

    def __init__(self, size: ContextSize) -> None:
        """Keep as many sentences as a model reads."""
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

        The oldest are left out until a side with the separators has at most ``max_length`` pieces.
        There are never more targets than sources.

        Args:
            source: Pieces of the sentence.
            target: Pieces of its translation, if they are known.
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
