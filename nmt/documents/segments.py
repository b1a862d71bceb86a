"""The parts of a document: what stays as it is, and the segments that are translated.

A reader of a format turns a document into items. Joined, the items are the document, character for
character. A segment consists of text and of tags, which keep their spelling and whose position
depends on the translation.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class TagKind(StrEnum):
    """What a tag does to the text around it."""

    OPEN = "open"
    """It begins something that the closing tag with the same key ends."""
    CLOSE = "close"
    """It ends what the last opening tag with the same key began."""
    SINGLE = "single"
    """It stands alone."""
    BREAK = "break"
    """It stands alone, and all breaks of a segment keep their order, as borders of subtitles."""


@dataclass(frozen=True)
class Text:
    """A run of text inside a segment.

    Attributes:
        raw: As the document spells it, e.g. with entities.
        text: As the model reads it.
    """

    raw: str
    text: str


@dataclass(frozen=True, eq=False)
class Tag:
    """A tag inside a segment, or something else that is moved but not changed.

    Attributes:
        kind: What it does.
        parts: Its spelling, and segments in its attributes.
        key: Pairs an opening tag with a closing tag.
        changed: Its spelling if the text of the segment changes; None: it is the same.
    """

    kind: TagKind
    parts: "tuple[Item, ...]"
    key: str = ""
    changed: str | None = None


class Form:
    """How the translation of a segment is spelled in its document; this one changes nothing.

    Attributes:
        by_sentences: Whether each sentence of a segment is translated on its own; else a segment is
            one sentence, and is cut only if it is too long for the model.
        keeps_lines: Whether a line feed or a tab of the text separates parts that are translated
            separately. Otherwise it is white space, as in HTML.
    """

    by_sentences = True
    keeps_lines = False

    def encode(self, text: str) -> str:
        """Return the spelling of a part of the translation."""
        return text

    def arrange(self, tokens: "Sequence[str | Tag]") -> "Sequence[str | Tag]":
        """Return the translation with line feeds in place of some of its spaces."""
        return tokens

    def separated(self, tokens: "Sequence[str | Tag | Text]") -> "Sequence[str | Tag | Text]":
        """Return the whole segment with spaces where tags could not stand beside each other."""
        return tokens

    def finish(self, raw: str) -> str:
        """Return the spelling of the whole segment, given that of its text and tags."""
        return raw


@dataclass(frozen=True, eq=False)
class Segment:
    """Text that is translated as one.

    Attributes:
        line: Its line in the document, from 1.
        tokens: Its text and its tags.
        form: How its translation is spelled.
        shown: What its place shows if the translation is equal to the text; None: the tokens.
    """

    line: int
    tokens: tuple[Text | Tag, ...]
    form: Form
    shown: str | None = None


Item = str | Segment

FLUSH = None
"""Between items: all items before it are translated at once, because no more have arrived."""

Items = Iterable[Item | None]


def inner_segments(items: Sequence[Item]) -> Iterator[Segment]:
    """Yield the segments among items, each after those in the attributes of its tags."""
    for item in items:
        if isinstance(item, Segment):
            for token in item.tokens:
                if isinstance(token, Tag):
                    yield from inner_segments(token.parts)
            yield item


def tag(kind: TagKind, raw: str, key: str = "", changed: str | None = None) -> Tag:
    """Return a tag whose spelling has no segments."""
    return Tag(kind, (raw,), key, changed)


def spelled(items: Iterable[Item]) -> str:
    """Return items as they are in the document."""
    parts: list[str] = []
    for item in items:
        if isinstance(item, str):
            parts.append(item)
        elif item.shown is not None:
            parts.append(item.shown)
        else:
            parts += [t.raw if isinstance(t, Text) else spelled(t.parts) for t in item.tokens]
    return "".join(parts)
