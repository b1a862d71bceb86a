"""Wraps translations: subtitles into lines of similar length, paragraphs at a width."""

from collections.abc import Callable, Sequence
from itertools import groupby

from nmt.documents.segments import Tag, TagKind, spelled

Tokens = Sequence[str | Tag]
Breaks = Callable[[str, Sequence[int]], list[int]]
"""Takes a text and the positions of its spaces; returns those that become line feeds."""


def with_line_feeds(tokens: Tokens, breaks: Breaks, *, count_tags: bool) -> list[str | Tag]:
    """Return tokens with some spaces of their text replaced by line feeds.

    Args:
        tokens: A translation with its tags.
        breaks: Chooses the spaces.
        count_tags: Whether the spelling of tags counts as text of the line.
    """
    text = ""
    spaces: list[int] = []
    for token in tokens:
        if isinstance(token, str):
            spaces += [len(text) + i for i, character in enumerate(token) if character == " "]
            text += token
        elif count_tags:
            text += spelled(token.parts)
    chosen = set(breaks(text, spaces))
    found: list[str | Tag] = []
    at = 0
    for token in tokens:
        if isinstance(token, str):
            found.append("".join("\n" if at + i in chosen else c for i, c in enumerate(token)))
            at += len(token)
        else:
            found.append(token)
            at += len(spelled(token.parts)) if count_tags else 0
    return found


def filled(width: int, is_safe: Callable[[str], bool]) -> Breaks:
    """Break lines at a width, but only before words that are safe at the beginning of a line."""

    def breaks(text: str, spaces: Sequence[int]) -> list[int]:
        chosen: list[int] = []
        start, last = 0, None
        for space in [*spaces, len(text)]:
            if space - start > width and last is not None:
                chosen.append(last)
                start, last = last + 1, None
            if space < len(text) and space > start and is_safe(text[space + 1 : space + 40]):
                last = space
        return chosen

    return breaks


def balanced(width: int) -> Breaks:
    """Break into as few lines as the width allows, of similar length."""

    def breaks(text: str, spaces: Sequence[int]) -> list[int]:
        lines = -(-len(text) // width)
        if lines <= 1:
            return []
        fewest = _greedy(text, spaces, width)
        low, high = len(text) // (len(fewest) + 1), width
        while low < high:  # find the smallest width with as few lines
            middle = (low + high) // 2
            if len(_greedy(text, spaces, middle)) <= len(fewest):
                high = middle
            else:
                low = middle + 1
        return _greedy(text, spaces, high)

    return breaks


def _greedy(text: str, spaces: Sequence[int], width: int) -> list[int]:
    return filled(width, lambda following: True)(text, spaces)


def by_breaks(tokens: Tokens, breaks: Breaks) -> list[str | Tag]:
    """Wrap the text between breaks separately; tags are not visible, so have no width."""
    found: list[str | Tag] = []
    for _, group in groupby(tokens, lambda t: isinstance(t, Tag) and t.kind == TagKind.BREAK):
        found += with_line_feeds(list(group), breaks, count_tags=False)
    return found
