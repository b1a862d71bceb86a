"""Splits an HTML document into tokens; joining them gives the document.

Like browsers, this scanner accepts any text: what is not markup is text. For tags, comments and
elements whose content is not markup, it follows the HTML standard (section 13.2.5).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

_VOID_NAMES = "area base br col embed hr img input link meta param source track wbr"
VOID = frozenset(_VOID_NAMES.split())
"""Elements without content and without an end tag."""

_TAG = re.compile(
    r"<!--(?:>|->|.*?--!?>|.*\Z)|<[!?][^>]*(?:>|\Z)"
    r"|<(?P<close>/?)(?P<name>[A-Za-z][^\s/>]*)"
    r"(?P<attributes>(?:[^>\"'=]+|=\s*\"[^\"]*\"|=\s*'[^']*'|[=\"'])*+)>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"(?P<name>[^\s=>\"'/][^\s=>/]*)(?:(?P<equals>\s*=\s*)(?P<value>\"[^\"]*\"|'[^']*'|[^\s\"'>][^\s>]*))?"
)
_RAW_NAMES = "script style textarea xmp iframe noembed noframes title"
_RAW = frozenset(_RAW_NAMES.split())
_REFERENCE = re.compile(r"&(?:#\d+|#[xX][0-9A-Fa-f]+|\w+);?")


@dataclass(frozen=True)
class Attribute:
    """An attribute of a tag.

    Attributes:
        name: The name in lower case.
        value: The value without quotation marks and references; None: there is no value.
        start: Where the value, with its quotation marks, begins in the source of the tag.
        end: Where the value ends there.
    """

    name: str
    value: str | None
    start: int
    end: int


@dataclass(frozen=True)
class HtmlToken:
    """A part of a document.

    Attributes:
        raw: The source of the token.
        line: Number of its first line, from 1.
        name: The element of a tag in lower case; empty: text, a comment or a declaration.
        is_end: Whether the token is an end tag.
        is_text: Whether the token is text.
        attributes_at: Where the attributes begin in the source of the tag.
    """

    raw: str
    line: int
    name: str = ""
    is_end: bool = False
    is_text: bool = False
    attributes_at: int = 0

    @property
    def attributes(self) -> list[Attribute]:
        """The attributes of a tag."""
        if not self.attributes_at:
            return []
        found = []
        for match in _ATTRIBUTE.finditer(self.raw, self.attributes_at, len(self.raw) - 1):
            value: str | None = match["value"]
            span = match.span("value")
            if value is not None:
                value = unescape(value[1:-1] if value[:1] in ('"', "'") else value)
            found.append(Attribute(match["name"].lower(), value, *span))
        return found

    def get(self, name: str) -> str | None:
        """Return the value of an attribute; empty: it has no value; None: there is no attribute."""
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute.value or ""
        return None


def html_tokens(text: str) -> Iterator[HtmlToken]:
    """Yield the tokens of a document; the content of an element such as ``script`` is one text."""
    at, line = 0, 1
    raw_name = ""
    last = text.rfind(">")
    while at < len(text):
        if raw_name:
            end = re.compile(rf"</{raw_name}(?=[\s/>])", re.IGNORECASE).search(text, at)
            stop = end.start() if end else len(text)
            raw_name = ""
            if stop > at:
                yield HtmlToken(text[at:stop], line, is_text=True)
                line += text.count("\n", at, stop)
                at = stop
                continue
        found = _TAG.match(text, at) if text[at] == "<" and at < last else None
        if found is None:
            stop = text.find("<", at + 1)
            stop = len(text) if stop < 0 else stop
            token = HtmlToken(text[at:stop], line, is_text=True)
        elif not found["name"]:
            token = HtmlToken(found[0], line)
        else:
            name = found["name"].lower()
            begins = found.start("attributes") - found.start()
            token = HtmlToken(found[0], line, name, bool(found["close"]), attributes_at=begins)
            is_open = not found["close"] and not token.raw.endswith("/>")  # the latter in XHTML
            raw_name = name if name in _RAW and is_open else ""
        yield token
        line += token.raw.count("\n")
        at += len(token.raw)


def html_text(raw: str) -> str:
    """Return text with its character references replaced by the characters."""
    return _REFERENCE.sub(lambda found: unescape(found[0]), raw) if "&" in raw else raw
