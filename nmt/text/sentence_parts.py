"""Splits a text that is too long for a model into sentences, and long sentences into parts.

A sentence that is too long is cut at punctuation inside it, else at white space, else between
characters, into few parts of similar length.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

Count = Callable[[Sequence[str]], list[int]]
"""Takes texts and returns the number of pieces of each."""

_CLOSING = "[\"'”’»›)\\]」』】》）]*"
_SENTENCE_END = re.compile(  # in scripts without spaces, no space follows the end of a sentence
    rf"[.!?…]+{_CLOSING}(?=\s)|[。！？｡।॥۔؟።။។։]+{_CLOSING}|[\u2028\u2029\v\f\x85]+"
)
_ENDS = (
    re.compile(rf"[,;:،؛၊፣—–-]+{_CLOSING}(?=\s)|[、，；：]+{_CLOSING}"),
    re.compile(r"\s+"),
)
_ABBREVIATION = re.compile(r"(?:^|[\s(\"'„“«.])(?:[A-ZÄÖÜ]\w{0,2}|\d{1,2})\.$")
_JOINER = "\u200d"


def split_text(text: str, limit: int, count: Count) -> list[str]:
    """Return the parts of a text, each of at most ``limit`` pieces.

    The parts contain all characters of the text, except white space at their ends.

    Args:
        text: A text of any length.
        limit: Maximum pieces of a part, at least 1. A single character may have more.
        count: Counts the pieces of texts.
    """
    sentences = list(_sentences(text))
    counts = count(sentences)
    parts: list[str] = []
    for sentence, pieces in zip(sentences, counts, strict=True):
        parts += [sentence] if pieces <= limit else _cut(sentence, limit, count, _ENDS)
    return [stripped for part in parts if (stripped := part.strip())]


def _sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text; joining them gives the text."""
    start = 0
    for found in _SENTENCE_END.finditer(text):
        following = text[found.end() : found.end() + 8].lstrip()[:1]
        before = text[max(start, found.start() - 8) : found.start() + 1]
        if following.islower() or (found[0] == "." and _ABBREVIATION.search(before)):
            continue
        yield text[start : found.end()]
        start = found.end()
    if start < len(text):
        yield text[start:]


def _cut(text: str, limit: int, count: Count, ends: Sequence[re.Pattern[str]]) -> list[str]:
    """Cut a sentence with too many pieces at matches of ``ends``, preferably of the first."""
    if not ends:
        return _cut_characters(text, limit, count)
    places = [0, *(found.end() for found in ends[0].finditer(text)), len(text)]
    segments = [text[first:last] for first, last in pairwise(places) if first < last]
    if len(segments) == 1:
        return _cut(text, limit, count, ends[1:])
    counts = count(segments)
    total = sum(counts)
    enough = total / -(-total // limit)  # pieces of each part if all are equal
    parts: list[str] = []
    size = limit  # pieces of the last part; the initial value makes the first segment begin one
    for segment, pieces in zip(segments, counts, strict=True):
        if pieces > limit:
            parts += _cut(segment, limit, count, ends[1:])
            size = limit
        elif size + pieces > limit or size >= enough:
            parts.append(segment)
            size = pieces
        else:
            parts[-1] += segment
            size += pieces
    return parts


def _cut_characters(text: str, limit: int, count: Count) -> list[str]:
    """Cut a text into parts of about equal length, but not between a letter and its marks."""
    pieces = count([text])[0]
    if pieces <= limit or len(text) == 1:
        return [text]
    number = min(len(text), -(-pieces // limit))
    places = [0]
    for index in range(1, number):
        place = _boundary(text, index * len(text) // number)
        if place > places[-1]:
            places.append(place)
    if len(places) == 1:  # one character with many marks
        places.append(len(text) // 2)
    cut = [text[first:last] for first, last in pairwise([*places, len(text)])]
    return [part for half in cut for part in _cut_characters(half, limit, count)]


def _boundary(text: str, place: int) -> int:
    """Return the last place, at most ``place``, that does not separate joined characters."""
    while place > 0 and (
        unicodedata.category(text[place])[0] == "M"
        or text[place] == _JOINER
        or text[place - 1] == _JOINER
    ):
        place -= 1
    return place
