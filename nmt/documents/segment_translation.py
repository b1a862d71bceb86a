"""Translates segments: splits them into sentences, keeps protected parts, and places tags.

The translation of a text does not depend on the other texts of its batch. So the result does not
depend on how segments are grouped.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nmt.documents.protection import Protection, Span, around, substituted
from nmt.documents.segment_text import SegmentText, segment_text
from nmt.documents.segments import (
    Item,
    Items,
    Segment,
    Tag,
    TagKind,
    Text,
    inner_segments,
)
from nmt.documents.sentence_spans import sentence_spans
from nmt.documents.tag_placement import AlignedText, Link, placed_tags, word_spans

_MOST_CHARACTERS = 1 << 20  # of the segments that are translated together


class TextTranslator(Protocol):
    """Translates texts.

    Attributes:
        together: Number of texts to translate together.
        symbols: Symbols that replace protected parts; see `nmt.documents.protection`.
        space: The separator of two sentences of the target language.
    """

    together: int
    symbols: Sequence[str]
    space: str

    def translate(self, texts: Sequence[str], *, aligned: bool) -> list[AlignedText]:
        """Translate texts, with links if ``aligned`` and the model can give them."""

    def split(self, text: str, by_sentences: bool) -> list[str]:
        """Cut a text into the parts that the model translates separately."""


@dataclass
class _Part:
    """A part of a segment's text: one sentence.

    Attributes:
        start: Position of the part in the text of the segment.
        text: The text of the part.
        aligned: Whether the part needs links, because a tag is inside it.
        protected: The protected ranges of the part.
        translation: The translation of the part; None: it is not translated yet.
    """

    start: int
    text: str
    aligned: bool
    protected: list[Span]
    translation: AlignedText | None = None


@dataclass
class _Work:
    """A segment that is being translated."""

    segment: Segment
    text: SegmentText
    parts: list[_Part] = field(default_factory=list)


class SegmentTranslation:
    """Translates the segments of a document."""

    def __init__(self, translator: TextTranslator, protection: Protection) -> None:
        """Translate by this translator, and protect these kinds of text."""
        self._translator = translator
        self._protection = protection

    def run(self, items: Items) -> Iterator[tuple[str, int]]:
        """Yield the translated document in parts, each with the number of its segments.

        Args:
            items: The document; see `nmt.documents.segments`.
        """
        waiting: list[Item] = []
        count = characters = 0
        for item in items:
            if item is not None:
                waiting.append(item)
                count += isinstance(item, Segment)
                characters += len(item) if isinstance(item, str) else _size(item)
            full = count >= self._translator.together or characters >= _MOST_CHARACTERS
            if waiting and (full or item is None):
                yield self._translated(waiting), count
                waiting, count, characters = [], 0, 0
        if waiting:
            yield self._translated(waiting), count

    def _translated(self, items: Sequence[Item]) -> str:
        segments = list(inner_segments(items))
        works = {id(segment): self._work(segment) for segment in segments}
        parts = [part for work in works.values() for part in work.parts]
        self._translate_parts(parts)
        return "".join(_written(item, works, self._translator.space) for item in items)

    def _work(self, segment: Segment) -> _Work:
        work = _Work(segment, segment_text(segment))
        text = work.text.text
        if not work.text.has_words:
            return work
        positions = sorted(_positions(work.text))
        for start, end in sentence_spans(text, segment.form, self._translator.split):
            part = text[start:end]
            aligned = any(start < position < end for position in positions)
            work.parts.append(_Part(start, part, aligned, self._protection.spans(part)))
        return work

    def _translate_parts(self, parts: Sequence[_Part]) -> None:
        """Translate parts by the three attempts of `nmt.documents.protection`."""
        symbols = self._translator.symbols
        replaced = [p for p in parts if 0 < len(p.protected) <= len(symbols)]
        texts = [substituted(part.text, part.protected, symbols) for part in replaced]
        for part, text, found in zip(replaced, texts, self._each(texts, replaced), strict=True):
            part.translation = _with_originals(part, text, found, symbols)
        rest = [part for part in parts if part.translation is None]
        for part, found in zip(rest, self._each([p.text for p in rest], rest), strict=True):
            if not part.protected:
                part.translation = found
                continue
            copied = self._protection.copied(part.text, found.text)
            if copied is not None:
                links = None if found.links is None else [*found.links, *copied]
                part.translation = AlignedText(found.text, links)
        self._translate_around([part for part in rest if part.translation is None])

    def _each(self, texts: Sequence[str], parts: Sequence[_Part]) -> list[AlignedText]:
        """Translate each distinct text once; texts with tags inside get links."""
        found: dict[tuple[str, bool], AlignedText] = {}
        wanted = [(text, part.aligned) for text, part in zip(texts, parts, strict=True)]
        for aligned in (False, True):
            different = list(dict.fromkeys(text for text, needs in wanted if needs == aligned))
            if different:
                for text, result in zip(
                    different, self._translator.translate(different, aligned=aligned), strict=True
                ):
                    found[text, aligned] = result
        return [found[key] for key in wanted]

    def _translate_around(self, parts: Sequence[_Part]) -> None:
        """Translate the texts between the protected parts, which keep their positions."""
        spans = [around(part.text, part.protected) for part in parts]
        owners = [(part, span) for part, mine in zip(parts, spans, strict=True) for span in mine]
        texts = [part.text[start:end] for part, (start, end) in owners]
        found = iter(self._each(texts, [part for part, _ in owners]))
        for part, mine in zip(parts, spans, strict=True):
            part.translation = _joined(part.text, [(span, next(found)) for span in mine])


def _size(segment: Segment) -> int:
    return sum(len(t.raw) if isinstance(t, Text) else 64 for t in segment.tokens)


def _positions(text: SegmentText) -> set[int]:
    """Return the positions of all tags in a text."""
    found: set[int] = set()
    nodes = list(text.nodes)
    while nodes:
        node = nodes.pop()
        found |= {node.start, node.end}
        nodes += node.children
    return found


def _with_originals(
    part: _Part, text: str, found: AlignedText, symbols: Sequence[str]
) -> AlignedText | None:
    """Replace the symbols by the protected parts; None: not every symbol occurs exactly once."""
    used = symbols[: len(part.protected)]
    if any(found.text.count(symbol) != 1 for symbol in used):
        return None
    if any(symbol in found.text for symbol in symbols[len(part.protected) :]):
        return None
    here = sorted(zip(part.protected, used, strict=True), key=lambda one: found.text.index(one[1]))
    parts, at, pairs = [], 0, []
    length = 0
    moved: list[tuple[int, int]] = []  # positions in the translation before and after
    for (start, end), symbol in here:
        place = found.text.index(symbol)
        parts += [found.text[at:place], part.text[start:end]]
        length += place - at
        pairs.append(((start, end), (length, length + end - start)))
        moved += [(place, length), (place + len(symbol), length + end - start)]
        length += end - start
        at = place + len(symbol)
    final = "".join([*parts, found.text[at:]])
    if found.links is None:
        return AlignedText(final, None)
    source: list[tuple[int, int]] = []
    for (start, end), symbol in zip(part.protected, used, strict=True):
        place = text.index(symbol)
        source += [(place, start), (place + len(symbol), end)]
    links: list[Link] = [
        ((_moved(a, source), _moved(b, source)), (round(_moved(c, moved)), round(_moved(d, moved))))
        for (a, b), (c, d) in found.links
    ]
    return AlignedText(final, [*links, *pairs])


def _moved(position: float, fixed: Sequence[tuple[int, int]]) -> float:
    """Return a position after parts were replaced; ``fixed`` has known ones before and after."""
    shift = 0
    for before, after in fixed:
        if before <= position:
            shift = after - before
    return position + shift


def _joined(
    text: str, pieces: Sequence[tuple[Span, AlignedText]], space: str | None = None
) -> AlignedText:
    """Return a text with some ranges replaced by translations; unchanged words are linked, too.

    Args:
        text: The text.
        pieces: The ranges in their order, with their translations.
        space: Replaces the spaces between two translations; None: they do not change.
    """
    parts: list[str] = []
    links: list[Link] = []
    at = length = 0

    def keep(start: int, end: int) -> None:
        nonlocal length
        if start < end:
            moved = length - start
            spans = word_spans(text[start:end])
            links.extend(
                ((start + a, start + b), (start + a + moved, start + b + moved)) for a, b in spans
            )
            parts.append(text[start:end])
            length += end - start

    for (start, end), translation in pieces:
        if at and space is not None and not text[at:start].strip(" "):
            parts.append(space)
            length += len(space)
        else:
            keep(at, start)
        for (a, b), (c, d) in translation.links or _proportional(text[start:end], translation.text):
            links.append(((start + a, start + b), (length + c, length + d)))
        parts.append(translation.text)
        length += len(translation.text)
        at = end
    keep(at, len(text))
    return AlignedText("".join(parts), links)


def _proportional(text: str, translation: str) -> list[Link]:
    """Return a link of each word of a translation to the proportional range of the text."""
    scale = len(text) / max(1, len(translation))
    return [((a * scale, b * scale), (a, b)) for a, b in word_spans(translation)]


def _written(item: Item, works: dict[int, _Work], space: str) -> str:
    """Return an item with the translations of its segments."""
    if isinstance(item, str):
        return item
    work = works[id(item)]
    text = work.text.text
    pieces = [
        ((p.start, p.start + len(p.text)), p.translation) for p in work.parts if p.translation
    ]
    whole = _joined(text, pieces, space)
    if whole.text == text:
        return _unchanged(item, works, space)
    tokens: list[str | Tag | Text] = [
        *work.text.prefix,
        *item.form.arrange(_before_breaks(placed_tags(work.text.nodes, text, whole))),
        *work.text.suffix,
    ]
    parts = []
    for token in item.form.separated(tokens):
        if isinstance(token, str):
            parts.append(item.form.encode(token))
        elif isinstance(token, Text):
            parts.append(token.raw)
        elif token.changed is not None:
            parts.append(token.changed)
        else:
            parts += [_written(one, works, space) for one in token.parts]
    return item.form.finish("".join(parts))


def _before_breaks(tokens: Iterable[str | Tag]) -> list[str | Tag]:
    """Return tokens without the spaces before breaks."""
    kept: list[str | Tag] = []
    for token in tokens:
        if isinstance(token, Tag) and token.kind == TagKind.BREAK:
            index = len(kept) - 1
            while index >= 0 and isinstance(kept[index], Tag):
                index -= 1
            if index >= 0:
                kept[index] = str(kept[index]).rstrip(" ")
        kept.append(token)
    return kept


def _unchanged(item: Segment, works: dict[int, _Work], space: str) -> str:
    """Return a segment with its own text; the attributes of its tags may be translated."""
    if item.shown is not None:
        return item.shown
    parts = []
    for token in item.tokens:
        if isinstance(token, Text):
            parts.append(token.raw)
        else:
            parts += [_written(one, works, space) for one in token.parts]
    return "".join(parts)
