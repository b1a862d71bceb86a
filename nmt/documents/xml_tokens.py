"""Checks an XML document, and splits it into tokens; joining them gives the document.

Documents that declare entities, are not well-formed or exceed the limits of
`nmt.data.sources.xml_records` are refused. Nothing is downloaded.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import unescape
from pathlib import Path

from nmt.data.sources.xml_records import xml_fault
from nmt.documents.segments import Form
from nmt.errors import UserError

_TOKEN = re.compile(
    r"<!--(?P<comment>.*?)-->|<!\[CDATA\[(?P<cdata>.*?)\]\]>|<\?(?P<instruction>.*?)\?>"
    r"|<!DOCTYPE(?P<doctype>(?:[^\[>\"']|\"[^\"]*\"|'[^']*')*"
    r"(?:\[(?:<!--.*?-->|<\?.*?\?>|\"[^\"]*\"|'[^']*'|[^\]\"'])*\])?\s*>)"
    r"|</(?P<end>[^\s>]+)\s*>"
    r"|<(?P<start>[^\s/>]+)(?P<attributes>(?:[^>\"']|\"[^\"]*\"|'[^']*')*?)(?P<empty>/?)>"
    r"|(?P<text>[^<]+)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([^\s=]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile(r"&(?:#\d+|#x[0-9A-Fa-f]+|\w+);")


class XmlKind(StrEnum):
    """The kind of a token."""

    START = "start"
    EMPTY = "empty"
    END = "end"
    TEXT = "text"
    OTHER = "other"


@dataclass(frozen=True)
class XmlToken:
    """A part of an XML document.

    Attributes:
        kind: The kind of the token.
        raw: The source of the token.
        line: Number of its first line, from 1.
        name: The name of an element without its prefix.
        attributes: The source of the attributes of a tag.
        text: The characters of text, without references.
    """

    kind: XmlKind
    raw: str
    line: int
    name: str = ""
    attributes: str = ""
    text: str = ""

    def get(self, name: str) -> str | None:
        """Return the value of an attribute; None: there is no such attribute."""
        for found in _ATTRIBUTE.finditer(self.attributes):
            if found[1] == name:
                return unescape(found[2][1:-1])
        return None


def xml_tokens(text: str, file: str, root: str) -> Iterator[XmlToken]:
    """Check a document and yield its tokens.

    Raises:
        UserError: It is not well-formed, has another root, or exceeds a limit.
    """
    fault = xml_fault(text.encode("utf-8"), Path(file), root)
    if fault is not None:
        raise UserError(fault.message)
    at, line = 0, 1
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise UserError(f"{file}, line {line:,} has markup that is not understood; fix it")
        yield _token(found, line)
        line += found[0].count("\n")
        at = found.end()


def _token(found: re.Match[str], line: int) -> XmlToken:
    raw = found[0]
    match found.lastgroup:
        case "text":
            return XmlToken(XmlKind.TEXT, raw, line, text=decoded(raw))
        case "cdata":
            return XmlToken(XmlKind.TEXT, raw, line, text=found["cdata"])
        case "end":
            return XmlToken(XmlKind.END, raw, line, found["end"].rpartition(":")[2])
        case "empty":
            kind = XmlKind.EMPTY if found["empty"] else XmlKind.START
            name = found["start"].rpartition(":")[2]
            return XmlToken(kind, raw, line, name, found["attributes"])
    return XmlToken(XmlKind.OTHER, raw, line)


def raw_xml(tokens: Sequence[XmlToken]) -> str:
    """Return tokens as the document spells them."""
    return "".join(token.raw for token in tokens)


def decoded(raw: str) -> str:
    """Return text with its character references replaced by the characters."""
    return _REFERENCE.sub(lambda found: unescape(found[0]), raw) if "&" in raw else raw


class XmlForm(Form):
    """Text of XML. If a segment writes a character as a reference, so does its translation."""

    def __init__(self, raw: str, *, by_sentences: bool = True) -> None:
        """Take the source of the segment."""
        self.by_sentences = by_sentences
        self._spellings = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
        plain = _REFERENCE.sub("", raw)
        if ">" in plain:
            del self._spellings[">"]
        for reference in _REFERENCE.findall(raw):
            character = unescape(reference)
            if len(character) == 1 and character not in plain:
                self._spellings[character] = reference

    def encode(self, text: str) -> str:
        """See `Form`."""
        allowed = _FORBIDDEN.sub("", text)
        spelled = "".join(self._spellings.get(character, character) for character in allowed)
        return spelled.replace("]]>", "]]&gt;")
