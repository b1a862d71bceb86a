"""Reads the content of segments in TMX and XLIFF: text with inline elements.

Elements with text, such as ``g`` and ``hi``, become pairs of tags. An element with native code
becomes one tag with its content. Elements that begin and end native code are paired by number.
"""

from collections.abc import Sequence

from nmt.documents.segments import Item, Segment, Tag, TagKind, Text, tag
from nmt.documents.xml_tokens import XmlForm, XmlKind, XmlToken

_CODE = ("bpt", "ept", "ph", "it", "ut", "x", "bx", "ex", "sc", "ec", "cp", "sm", "em")
_BEGINS = {"bpt": ("i", "rid", "id"), "bx": ("rid", "id"), "sc": ("id",), "sm": ("id",)}
_ENDS = {
    "ept": ("i", "rid", "id"),
    "ex": ("rid", "id"),
    "ec": ("startRef",),
    "em": ("startRef",),
}
_FAMILY = {"ept": "bpt", "ex": "bx", "ec": "sc", "em": "sm"}


def inline_tokens(content: Sequence[XmlToken]) -> list[Text | Tag]:
    """Return the content of an element as text and tags."""
    found: list[Text | Tag] = []
    names: list[str] = []  # keys of the open elements with text
    index = 0
    while index < len(content):
        token = content[index]
        if token.kind == XmlKind.TEXT:
            found.append(Text(token.raw, token.text))
        elif token.kind in (XmlKind.START, XmlKind.EMPTY) and token.name in _CODE:
            end = _element_end(content, index)
            raw = "".join(one.raw for one in content[index : end + 1])
            found.append(_code(token, raw))
            index = end
        elif token.kind == XmlKind.START:
            names.append(f"<{token.name}>{len(names)}")
            found.append(tag(TagKind.OPEN, token.raw, names[-1]))
        elif token.kind == XmlKind.END and names:
            found.append(tag(TagKind.CLOSE, token.raw, names.pop()))
        else:
            found.append(tag(TagKind.SINGLE, token.raw))
        index += 1
    return found


def _element_end(content: Sequence[XmlToken], start: int) -> int:
    """Return the index of the last token of the element that begins at ``start``."""
    depth = 0
    for index in range(start, len(content)):
        depth += (content[index].kind == XmlKind.START) - (content[index].kind == XmlKind.END)
        if depth == 0:
            return index
    return len(content) - 1


def _code(token: XmlToken, raw: str) -> Tag:
    for numbers, kind in ((_BEGINS, TagKind.OPEN), (_ENDS, TagKind.CLOSE)):
        for name in numbers.get(token.name, ()):
            number = token.get(name)
            if number is not None:
                return tag(kind, raw, f"{_FAMILY.get(token.name, token.name)} {number}")
    return tag(TagKind.SINGLE, raw)


def content_items(content: Sequence[XmlToken], line: int) -> list[Item]:
    """Return the content of an element as items; ``<mrk mtype="seg">`` encloses a segment.

    Tools that cut a paragraph of XLIFF into sentences write such marks. The content between marks
    does not change.
    """
    starts = [i for i, token in enumerate(content) if _is_segment_mark(token)]
    if not starts:
        return [_segment(content, line)] if content else []
    items: list[Item] = []
    at = 0
    for start in starts:
        if start < at:  # a mark inside a mark
            continue
        end = _element_end(content, start)
        items.append("".join(token.raw for token in content[at : start + 1]))
        if end > start + 1:
            items.append(_segment(content[start + 1 : end], content[start].line))
        at = end
    items.append("".join(token.raw for token in content[at:]))
    return items


def _is_segment_mark(token: XmlToken) -> bool:
    return token.kind == XmlKind.START and token.name == "mrk" and token.get("mtype") == "seg"


def _segment(content: Sequence[XmlToken], line: int) -> Segment:
    tokens = tuple(inline_tokens(content))
    raw = "".join(token.raw for token in tokens if isinstance(token, Text))
    return Segment(line, tokens, XmlForm(raw))
