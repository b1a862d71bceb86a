"""Places the tags of a text in its translation.

The words of the translation are aligned with positions in the text, by links of the model's
attention, or without links in proportion to their positions. A pair of tags encloses the words that
are aligned with the inside of the pair in the text. If these are not adjacent, the pair encloses
the range with the largest difference of words aligned with the inside and with the outside. A
single tag is placed where the fewest words are on its wrong side; words near the tag in the text
count most. Ranges are nested as in the text, and other ranges do not overlap. So each tag occurs
once, and pairs are closed in the right order.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nmt.documents.segment_text import Node
from nmt.documents.segments import Tag, TagKind

Span = tuple[int, int]
Link = tuple[tuple[float, float], Span]
"""A range of characters of the text, and the range of the translation that is aligned with it."""

_NOT_SPACED = (
    "\u2e80-\u2fdf\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_LETTERS = rf"[^\W{_NOT_SPACED}]+"
_WORD = re.compile(rf"{_LETTERS}(?:['’\-.]{_LETTERS})*|\S")
_PUNCTUATION_SHARE = 0.2  # weight of punctuation; a word has 1
_NEAR = 5.0  # characters; at this distance from a tag, a word has half of its weight
_MOST_NODES_TIMES_WORDS = 1 << 20


@dataclass(frozen=True)
class AlignedText:
    """A translation and its alignment with the text.

    Attributes:
        text: The translation.
        links: The links; None: the model gives none.
    """

    text: str
    links: Sequence[Link] | None = None


def placed_tags(nodes: Sequence[Node], text: str, translation: AlignedText) -> list[str | Tag]:
    """Return the translation with the tags of the text.

    Args:
        nodes: The tags of the text.
        text: The text.
        translation: The translation of the text.
    """
    if not nodes:
        return [translation.text]
    words = word_spans(translation.text)
    if not words or len(words) * _count(nodes) > _MOST_NODES_TIMES_WORDS:
        return [translation.text, *_in_order(nodes)]
    placement = _Placement(translation.text, words, _sources(words, text, translation), text)
    children = placement.placed(nodes, 0, len(words))
    tokens = list(placement.with_tags(children, 0, len(translation.text)))
    placed = [token for token in tokens if isinstance(token, Tag)]
    if _closings(placed) != _closings(list(_in_order(nodes))):  # pairs that overlap in the text
        return [translation.text, *_in_order(nodes)]
    return tokens


def _closings(tags: Sequence[Tag]) -> dict[str, list[TagKind]]:
    """Return the kinds of the opening and closing tags of each key, in their order."""
    found: dict[str, list[TagKind]] = {}
    for tag in tags:
        if tag.kind in (TagKind.OPEN, TagKind.CLOSE):
            found.setdefault(tag.key, []).append(tag.kind)
    return found


def word_spans(text: str) -> list[Span]:
    """Return the ranges of words, punctuation, and characters of scripts without spaces."""
    return [found.span() for found in _WORD.finditer(text)]


def _count(nodes: Sequence[Node]) -> int:
    return sum(1 + _count(node.children) for node in nodes)


def _in_order(nodes: Sequence[Node]) -> Iterator[Tag]:
    for node in nodes:
        yield node.opening
        yield from _in_order(node.children)
        if node.closing is not None:
            yield node.closing


def _sources(words: Sequence[Span], text: str, translation: AlignedText) -> list[list[float]]:
    """Return the positions in the text with which each word of the translation is aligned."""
    if translation.links is None:
        scale = len(text) / len(translation.text)
        return [[(start + end) / 2 * scale] for start, end in words]
    found: list[list[float]] = [[] for _ in words]
    ends = [end for _, end in words]
    for (first, last), (start, end) in translation.links:
        index = bisect_right(ends, start)
        while index < len(words) and words[index][0] < end:
            found[index].append((first + last) / 2)
            index += 1
    return found


@dataclass(frozen=True)
class _Placed:
    """A node with its range of words, which is empty for a single tag."""

    node: Node
    first: int
    last: int
    children: "list[_Placed]"


class _Placement:
    """Finds the ranges of tags in a translation of some words."""

    def __init__(
        self, text: str, words: Sequence[Span], sources: Sequence[Sequence[float]], source: str
    ) -> None:
        self._text = text
        self._words = words
        self._sources = sources
        self._source = source
        self._is_punctuation = [
            not text[start:end].strip("_")[:1].isalnum() for start, end in words
        ]

    def placed(self, nodes: Sequence[Node], low: int, high: int) -> list[_Placed]:
        """Place the nodes of one level within a range of words."""
        pairs = [node for node in nodes if node.closing is not None and node.end > node.start]
        free = [(low, high)]
        ranges: dict[int, Span] = {}
        values = {node.order: self._values(node) for node in pairs}
        for node in sorted(pairs, key=lambda n: -sum(v > 0 for v in values[n.order])):
            best = max((_best_range(values[node.order], *gap) for gap in free), default=(0, 0, 0))
            span = (best[1], best[2]) if best[0] > 0 else self._nearest(node, free, low, high)
            if span is not None:
                ranges[node.order] = span
                free = [part for gap in free for part in _without(gap, span)]
        inside = {k for first, last in free for k in range(first, last + 1)}
        borders = sorted(inside | {k for span in ranges.values() for k in span} | {low, high})
        found: list[_Placed] = []
        least = low  # the border of the last tag that keeps its order
        breaks = sum(node.opening.kind == TagKind.BREAK for node in nodes)
        spare = breaks < high - low  # whether there is a word for each side of each break
        for node in nodes:
            if node.order in ranges:
                first, last = ranges[node.order]
            else:
                kept = node.closing is None and node.opening.kind != TagKind.SINGLE
                lowest, highest = least if kept else low, high
                if spare and node.opening.kind == TagKind.BREAK:
                    lowest, highest = least + 1, high - breaks
                    breaks -= 1
                allowed = [k for k in borders if lowest <= k <= highest]
                near = None if kept else _NEAR
                if node.opening.kind == TagKind.BREAK:
                    allowed = [k for k in allowed if not self._is_joined(k)] or allowed
                first = last = self._border(node.start, allowed or [high], low, high, near)
                least = first if kept else least
            found.append(_Placed(node, first, last, self.placed(node.children, first, last)))
        return found

    def _is_joined(self, border: int) -> bool:
        """Return whether punctuation without a space before it follows a border."""
        if not 0 < border < len(self._words) or not self._is_punctuation[border]:
            return False
        return self._words[border][0] == self._words[border - 1][1]

    def _nearest(self, node: Node, free: Sequence[Span], low: int, high: int) -> Span | None:
        """Return the range of the free word nearest to a pair without aligned words."""
        words = [k for first, last in free for k in range(first, last)]
        words = [k for k in words if not self._is_punctuation[k]] or words
        if not words:
            return None
        border = self._border((node.start + node.end) // 2, range(low, high + 1), low, high)
        chosen = min(words, key=lambda k: abs(k - border))
        return chosen, chosen + 1

    def _values(self, node: Node) -> list[float]:
        """Return for each word the value 2 · share of its links to the inside of a pair - 1.

        Attention to punctuation is unreliable, so punctuation has less weight, unless the pair
        encloses only punctuation. A word without links has the value 0.
        """
        values = []
        inner = self._source[node.start : node.end]
        only_punctuation = not any(character.isalnum() for character in inner)
        for positions, is_punctuation in zip(self._sources, self._is_punctuation, strict=True):
            inside = sum(node.start < position < node.end for position in positions)
            value = 2 * inside / len(positions) - 1 if positions else 0.0
            values.append(
                value * _PUNCTUATION_SHARE if is_punctuation != only_punctuation else value
            )
        return values

    def _border(
        self,
        position: int,
        borders: Sequence[int],
        low: int,
        high: int,
        near: float | None = None,
    ) -> int:
        """Return the border with the fewest words on its wrong side.

        Args:
            position: Position of the tag in the text.
            borders: The allowed borders.
            low: The first border of the range.
            high: The last border of the range.
            near: The distance in characters at which a word has half of its weight; None: all
                words have the same weight.
        """

        def weight(source: float) -> float:
            return 1.0 if near is None else 1 / (1 + (abs(source - position) / near) ** 2)

        wrong = sum(weight(s) for p in self._sources[low:high] for s in p if s < position)
        costs = {low: wrong}
        for index in range(low, high):
            for source in self._sources[index]:
                wrong += -weight(source) if source < position else weight(source)
            costs[index + 1] = wrong
        return min(borders, key=lambda k: costs[min(max(k, low), high)])

    def with_tags(self, placed: Sequence[_Placed], start: int, end: int) -> Iterator[str | Tag]:
        """Yield the translation from ``start`` to ``end`` with its tags."""
        at, single_at = start, -1
        entries = [(*self._place(one, start, end), one) for one in placed]
        for first, last, one in sorted(entries, key=lambda e: (e[0], e[1] > e[0], e[2].node.order)):
            yield self._text[at:first]
            at = last
            node = one.node
            if node.closing is None:
                yield from self._single(node, first, beside=single_at == first)
                single_at = first
                continue
            yield node.opening
            yield from self.with_tags(one.children, first, last)
            yield node.closing
        yield self._text[at:end]

    def _place(self, one: _Placed, start: int, end: int) -> Span:
        """Return the range of characters of a node within the range of its parent."""
        if one.first < one.last:
            return self._words[one.first][0], self._words[one.last - 1][1]
        after_word = one.node.closing is None and one.node.space_after and not one.node.space_before
        before, after = start, end
        if one.first > 0:
            before = max(start, self._words[one.first - 1][1])
        if one.first < len(self._words):
            after = min(end, self._words[one.first][0])
        place = before if after_word or after == end else after
        return place, place

    def _single(self, node: Node, place: int, *, beside: bool) -> Iterator[str | Tag]:
        """Yield a single tag, with spaces around it as in the text.

        Args:
            node: The tag.
            place: Its position.
            beside: Whether another single tag is at the same position.
        """
        spaced = node.opening.kind != TagKind.BREAK
        before, after = self._text[place - 1 : place], self._text[place : place + 1]
        joined = bool(before) and not before.isspace() and node.space_before
        if spaced and (beside or joined):
            yield " "
        yield node.opening
        if spaced and node.space_after and (after.isalnum() or (after and node.space_before)):
            yield " "


def _best_range(values: Sequence[float], low: int, high: int) -> tuple[float, int, int]:
    """Return the largest sum of a range, and this range, by Kadane's algorithm."""
    best = (0.0, low, low)
    total, first = 0.0, low
    for index in range(low, high):
        if total <= 0:
            total, first = 0.0, index
        total += values[index]
        if total > best[0]:
            best = (total, first, index + 1)
    return best


def _without(gap: Span, span: Span) -> Iterator[Span]:
    if span[0] > gap[1] or span[1] < gap[0]:
        yield gap
        return
    if gap[0] < span[0]:
        yield gap[0], span[0]
    if span[1] < gap[1]:
        yield span[1], gap[1]
