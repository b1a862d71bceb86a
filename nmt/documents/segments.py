"""The items of a document: text that does not change, and segments, which are translated.

The reader of a format turns a document into items. Joining the sources of the items gives exactly
the document. A segment consists of text and tags. The source of a tag does not change; its position
depends on the translation.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class TagKind(StrEnum):
    """What a tag does to the text around it."""

    OPEN = "open"
    """It opens a pair, which the closing tag with the same key closes."""
    CLOSE = "close"
    """It closes the pair of the last open tag with the same key."""
    SINGLE = "single"
    """It is not part of a pair."""
    BREAK = "break"
    """It is not part of a pair; the breaks of a segment keep their order, e.g. between cues."""


IN_ORDER = "in order"
"""The key of closing tags without an opening tag, which keep their order."""


@dataclass(frozen=True)
class Text:
    """A run of text inside a segment.

    Attributes:
        raw: The source in the document, e.g. with entities.
        text: The text that the model reads.
    """

    raw: str
    text: str


@dataclass(frozen=True, eq=False)
class Tag:
    """A tag inside a segment, or something else that is moved but not changed.

    Attributes:
        kind: The kind of the tag.
        parts: The source of the tag; its attributes may be segments.
        key: The same for the opening and the closing tag of a pair.
        changed: The source of the tag if the text of the segment changes; None: ``parts``.
    """

    kind: TagKind
    parts: "tuple[Item, ...]"
    key: str = ""
    changed: str | None = None


class Form:
    """Turns the translation of a segment into the source of its document; here it is unchanged.

    Attributes:
        by_sentences: Whether each sentence of a segment is translated separately. Otherwise, a
            segment is one sentence, and is cut only if it is too long for the model.
        keeps_lines: Whether a line feed or a tab separates parts that are translated separately.
            Otherwise, it is white space, as in HTML.
    """

    by_sentences = True
    keeps_lines = False

    def encode(self, text: str) -> str:
        """Return the source of a part of the translation, e.g. with escapes."""
        return text

    def arrange(self, tokens: "Sequence[str | Tag]") -> "Sequence[str | Tag]":
        """Return the translation with some of its spaces replaced by line feeds."""
        return tokens

    def separated(self, tokens: "Sequence[str | Tag | Text]") -> "Sequence[str | Tag | Text]":
        """Return the whole segment with spaces between tags that must not be adjacent."""
        return tokens

    def finish(self, raw: str) -> str:
        """Return the final source of the segment; ``raw`` is that of its text and tags."""
        return raw


@dataclass(frozen=True, eq=False)
class Segment:
    """Text that is translated as a unit.

    Attributes:
        line: Number of its first line in the document, from 1.
        tokens: The text and the tags.
        form: Turns the translation into source.
        shown: The source if the translation equals the text; None: that of the tokens.
    """

    line: int
    tokens: tuple[Text | Tag, ...]
    form: Form
    shown: str | None = None


Item = str | Segment

FLUSH = None
"""A separator of items: the items before it are translated without waiting for more."""

Items = Iterable[Item | None]


def inner_segments(items: Sequence[Item]) -> Iterator[Segment]:
    """Yield all segments of items; segments in the attributes of tags come before their own."""
    for item in items:
        if isinstance(item, Segment):
            for token in item.tokens:
                if isinstance(token, Tag):
                    yield from inner_segments(token.parts)
            yield item


def tag(kind: TagKind, raw: str, key: str = "", changed: str | None = None) -> Tag:
    """Return a tag without segments in its source."""
    return Tag(kind, (raw,), key, changed)


def spelled(items: Iterable[Item]) -> str:
    """Return the source of items in the document."""
    parts: list[str] = []
    for item in items:
        if isinstance(item, str):
            parts.append(item)
        elif item.shown is not None:
            parts.append(item.shown)
        else:
            parts += [t.raw if isinstance(t, Text) else spelled(t.parts) for t in item.tokens]
    return "".join(parts)
