"""Places the tags of a text in its translation.

The words of the translation are aligned with positions in the text: by the links of the model's
attention, or, without links, in proportion to their positions. A pair of tags encloses the words
that are aligned with the words it encloses in the text; where they are not adjacent, the range in
which words from inside most outnumber words from outside. A single tag stands where the fewest
words are on the wrong side of it; those that are beside it in the text count most. Ranges are
nested as in the text, and ranges beside each other do not overlap. So every tag occurs once, and
every pair is closed in the right order.
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
_SIGN_SHARE = 0.2  # of a word's weight
_NEAR = 5.0  # characters, about a word
_MOST_NODES_TIMES_WORDS = 1 << 20


@dataclass(frozen=True)
class AlignedText:
    """A translation, and how it is aligned with its text.

    Attributes:
        text: The translation.
        links: None: the model gives none.
    """

    text: str
    links: Sequence[Link] | None = None


def placed_tags(nodes: Sequence[Node], text: str, translation: AlignedText) -> list[str | Tag]:
    """Return the translation with the tags of the text.

    Args:
        nodes: The tags of the text.
        text: The text.
        translation: Its translation.
    """
    if not nodes:
        return [translation.text]
    words = word_spans(translation.text)
    if not words or len(words) * _count(nodes) > _MOST_NODES_TIMES_WORDS:
        return [translation.text, *_in_order(nodes)]
    placement = _Placement(translation.text, words, _sources(words, text, translation), text)
    children = placement.placed(nodes, 0, len(words))
    tokens = list(placement.emitted(children, 0, len(translation.text)))
    placed = [token for token in tokens if isinstance(token, Tag)]
    if _closings(placed) != _closings(list(_in_order(nodes))):  # pairs that overlap in the text
        return [translation.text, *_in_order(nodes)]
    return tokens


def _closings(tags: Sequence[Tag]) -> dict[str, list[TagKind]]:
    """Return the opening and closing tags of each key in their order."""
    found: dict[str, list[TagKind]] = {}
    for tag in tags:
        if tag.kind in (TagKind.OPEN, TagKind.CLOSE):
            found.setdefault(tag.key, []).append(tag.kind)
    return found


def word_spans(text: str) -> list[Span]:
    """Return the words of a text; a sign, and a character of a script without spaces, is one."""
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
    """A node with its range of words; a single tag has an empty one."""

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
        self._is_sign = [not text[start:end].strip("_")[:1].isalnum() for start, end in words]

    def placed(self, nodes: Sequence[Node], low: int, high: int) -> list[_Placed]:
        """Place nodes beside each other within a range of words."""
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
        least = low  # the border of the last tag whose order is kept
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
        """Return whether a sign that belongs to the previous word follows."""
        if not 0 < border < len(self._words) or not self._is_sign[border]:
            return False
        return self._words[border][0] == self._words[border - 1][1]

    def _nearest(self, node: Node, free: Sequence[Span], low: int, high: int) -> Span | None:
        """Return the free word that is nearest to a pair none of whose words is aligned."""
        words = [k for first, last in free for k in range(first, last)]
        words = [k for k in words if not self._is_sign[k]] or words
        if not words:
            return None
        border = self._border((node.start + node.end) // 2, range(low, high + 1), low, high)
        chosen = min(words, key=lambda k: abs(k - border))
        return chosen, chosen + 1

    def _values(self, node: Node) -> list[float]:
        """Return for each word whether it is aligned with the inside of a pair: from -1 to 1.

        Attention to signs is vague, so that a sign counts little unless the pair encloses signs
        alone.
        """
        values = []
        inner = self._source[node.start : node.end]
        of_signs = not any(character.isalnum() for character in inner)
        for positions, is_sign in zip(self._sources, self._is_sign, strict=True):
            inside = sum(node.start < position < node.end for position in positions)
            value = 2 * inside / len(positions) - 1 if positions else 0.0
            values.append(value * _SIGN_SHARE if is_sign != of_signs else value)
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
            position: Of the tag in the text.
            borders: The borders that are allowed.
            low: The first border of the range.
            high: The last one.
            near: Characters at which a word counts half as much as beside the tag; None: all
                words count the same.
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

    def emitted(self, placed: Sequence[_Placed], start: int, end: int) -> Iterator[str | Tag]:
        """Yield the translation from one position to another with the tags in it."""
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
            yield from self.emitted(one.children, first, last)
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
        """Yield a single tag, with spaces where it had them in the text.

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
    """Return the sum and the limits of the range of the greatest sum (Kadane's algorithm)."""
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
