"""The text of a segment as a model reads it, and the tags with their positions in this text.

Tags and white space at the beginning and end of a segment are not part of the text, and keep their
places. So only tags between words are placed. Inside, a run of white space is one space.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from nmt.documents.segments import Form, Item, Segment, Tag, TagKind, Text

_SPACE = re.compile(r"[ \t\r\n\f]+")
_SPACE_BUT_BREAKS = re.compile(r" *\r?\n *| *\t *|[ \r\f]+")


_DEEPEST = 50  # maximum depth of nested pairs; tags of deeper ones keep their order


@dataclass
class Node:
    """A tag in the text, or a pair of tags.

    Attributes:
        start: Position of the single or opening tag in the text.
        end: Position of the closing tag; ``start`` for a single tag.
        order: Index of the tag among the tokens inside the segment.
        opening: The single or opening tag.
        closing: The closing tag of a pair; None: a single tag.
        children: The nodes inside a pair.
        space_before: Whether a single tag follows white space.
        space_after: Whether white space follows a single tag.
    """

    start: int
    end: int
    order: int
    opening: Tag
    closing: Tag | None = None
    children: "list[Node]" = field(default_factory=list)
    space_before: bool = False
    space_after: bool = False


@dataclass(frozen=True)
class SegmentText:
    """A segment, split into its beginning, its text, the tags inside the text, and its end.

    Attributes:
        prefix: The tokens that stay before the text.
        text: The text to translate; its white space is normalized.
        nodes: The tags inside the text, in their order.
        suffix: The tokens that stay after the text.
    """

    prefix: Sequence[Text | Tag]
    text: str
    nodes: Sequence[Node]
    suffix: Sequence[Text | Tag]

    @property
    def has_words(self) -> bool:
        """Whether the text has a letter; other texts are not translated."""
        return any(character.isalpha() for character in self.text)


def segment_text(segment: Segment) -> SegmentText:
    """Split a segment into its parts."""
    tokens = _with_joined_tags(_without_empty_pairs(_with_cut_edges(segment.tokens)))
    partners = _partners(tokens)
    first, last = _inner_range(tokens, partners)
    text, positions, spaced = _joined(tokens[first:last], segment.form)
    inner = {
        start - first: end - first for start, end in partners.items() if first <= start < end < last
    }
    nodes = _tree(tokens[first:last], positions, spaced, inner)
    return SegmentText(tokens[:first], text, nodes, tokens[last:])


def _with_cut_edges(tokens: Sequence[Text | Tag]) -> list[Text | Tag]:
    """Make the white space at both ends of each text a text of its own."""
    cut: list[Text | Tag] = []
    for token in tokens:
        if isinstance(token, Tag) or token.raw != token.text:
            cut += _cut_encoded(token) if isinstance(token, Text) else [token]
            continue
        body = token.raw.strip(" \t\r\n\f")
        start = token.raw.find(body) if body else len(token.raw)
        parts = (token.raw[:start], body, token.raw[start + len(body) :])
        cut += [Text(part, part) for part in parts if part]
    return cut


def _without_empty_pairs(tokens: list[Text | Tag]) -> list[Text | Tag]:
    """Replace each pair without text inside by one single tag, which contains its tokens."""
    found: list[Text | Tag] = []
    partners = _partners(tokens)
    index = 0
    while index < len(tokens):
        end = partners.get(index, index)
        inner = tokens[index : end + 1]
        has_break = any(isinstance(t, Tag) and t.kind == TagKind.BREAK for t in inner)
        if end > index and not has_break and _is_empty(tokens, index, end):
            parts = [part for token in inner for part in _parts(token)]
            found.append(Tag(TagKind.SINGLE, tuple(parts)))
            index = end
        else:
            found.append(tokens[index])
        index += 1
    return found


def _with_joined_tags(tokens: Sequence[Text | Tag]) -> list[Text | Tag]:
    """Join single tags with only white space between them, so that they move together."""
    found: list[Text | Tag] = []
    for token in tokens:
        before = 2 if len(found) > 1 and _is_space(found[-1]) else 1
        first = found[-before] if found else None
        if _is_single(token) and first is not None and _is_single(first):
            parts = [part for one in (*found[-before:], token) for part in _parts(one)]
            del found[-before:]
            found.append(Tag(TagKind.SINGLE, tuple(parts)))
        else:
            found.append(token)
    return found


def _is_space(token: Text | Tag) -> bool:
    return isinstance(token, Text) and not token.text.strip()


def _is_single(token: Text | Tag) -> bool:
    return isinstance(token, Tag) and token.kind == TagKind.SINGLE and token.changed is None


def _parts(token: Text | Tag) -> Sequence[Item]:
    return (token.raw,) if isinstance(token, Text) else token.parts


def _cut_encoded(token: Text) -> list[Text | Tag]:
    """Split off white space from a text with entities or escapes, unless it is one itself."""
    raw, text = token.raw, token.text
    before = len(raw) - len(raw.lstrip(" \t\r\n\f"))
    after = len(raw) - len(raw.rstrip(" \t\r\n\f"))
    if (
        before == len(raw)
        or raw[:before] != text[:before]
        or (after and raw[-after:] != text[-after:])
    ):
        return [token]
    parts: list[Text | Tag] = [Text(raw[:before], raw[:before])] if before else []
    parts.append(Text(raw[before : len(raw) - after], text[before : len(text) - after]))
    return [*parts, Text(raw[-after:], raw[-after:])] if after else parts


def _partners(tokens: Sequence[Text | Tag]) -> dict[int, int]:
    """Return the index of the closing tag of each opening tag, only for pairs that are nested."""
    opened: dict[str, list[int]] = {}
    pairs: list[tuple[int, int]] = []
    for index, token in enumerate(tokens):
        if not isinstance(token, Tag):
            continue
        if token.kind == TagKind.OPEN:
            opened.setdefault(token.key, []).append(index)
        elif token.kind == TagKind.CLOSE and opened.get(token.key):
            pairs.append((opened[token.key].pop(), index))
    nested: dict[int, int] = {}
    enclosing: list[int] = []  # ends of the pairs that are open
    for start, end in sorted(pairs):
        while enclosing and enclosing[-1] < start:
            enclosing.pop()
        if len(enclosing) < _DEEPEST and (not enclosing or end < enclosing[-1]):
            nested[start] = end
            enclosing.append(end)
    return nested


def _inner_range(tokens: Sequence[Text | Tag], partners: dict[int, int]) -> tuple[int, int]:
    """Return the range of tokens without the tags and white space at its beginning and end."""
    ends = {end: start for start, end in partners.items()}
    first, last = 0, len(tokens)
    while first < last:
        head, tail = tokens[first], tokens[last - 1]
        if _is_outside(head) and first not in partners:
            first += 1
        elif _is_outside(tail) and last - 1 not in ends:
            last -= 1
        elif partners.get(first) == last - 1:
            first, last = first + 1, last - 1
        else:
            break
    return first, last


def _is_empty(tokens: Sequence[Text | Tag], start: int, end: int) -> bool:
    return all(isinstance(t, Tag) or not t.text.strip() for t in tokens[start : end + 1])


def _is_outside(token: Text | Tag) -> bool:
    return isinstance(token, Tag) or not token.text.strip()


def _joined(
    tokens: Sequence[Text | Tag], form: Form
) -> tuple[str, list[int], list[tuple[bool, bool]]]:
    """Return the text, each token's position in it, and whether white space surrounds each tag."""
    parts: list[str] = []
    length = 0
    ends_in_space = True  # white space at the beginning is dropped
    positions: list[int] = []
    spaced: list[tuple[bool, bool]] = []
    for index, token in enumerate(tokens):
        positions.append(length)
        if isinstance(token, Tag):
            following = tokens[index + 1] if index + 1 < len(tokens) else None
            after = isinstance(following, Text) and following.text[:1].isspace()
            spaced.append((ends_in_space and length > 0, after))
            if token.kind == TagKind.BREAK and not ends_in_space:
                parts.append(" ")
                length += 1
                positions[-1] = length
                ends_in_space = True
            continue
        spaced.append((False, False))
        if form.keeps_lines:
            text = _SPACE_BUT_BREAKS.sub(_line_or_space, token.text)
        else:
            text = _SPACE.sub(" ", token.text)
        if ends_in_space:
            text = text.lstrip(" ")
        if text:
            parts.append(text)
            length += len(text)
            ends_in_space = text[-1].isspace()
    return "".join(parts).rstrip(" \t\n"), positions, spaced


def _line_or_space(found: re.Match[str]) -> str:
    return next((mark for mark in "\n\t" if mark in found[0]), " ")


def _tree(
    tokens: Sequence[Text | Tag],
    positions: Sequence[int],
    spaced: Sequence[tuple[bool, bool]],
    partners: dict[int, int],
) -> list[Node]:
    """Return the tags as a tree; a tag without a partner is a single one."""
    top: list[Node] = []
    open_nodes: list[tuple[int, Node]] = []  # with the index of the closing tag
    for index, token in enumerate(tokens):
        if not isinstance(token, Tag):
            continue
        if open_nodes and open_nodes[-1][0] == index:
            _, node = open_nodes.pop()
            node.end, node.closing = positions[index], token
            continue
        before, after = spaced[index]
        node = Node(positions[index], positions[index], index, token)
        node.space_before, node.space_after = before, after
        (open_nodes[-1][1].children if open_nodes else top).append(node)
        if index in partners:
            open_nodes.append((partners[index], node))
    return top
