"""Reads Gettext catalogues; translations are written into empty ``msgstr`` strings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.data.sources.po_catalogues import DOMAIN, KEYWORD, STRING, unescaped
from nmt.documents.document_options import DocumentOptions
from nmt.documents.segments import Form, Item, Segment, Text

_WIDTH = 77  # characters of a string in a line of 79, as gettext wraps
_ESCAPED = {
    "\\": "\\\\",
    '"': '\\"',
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\v": "\\v",
}
_WORDS = re.compile(r"\S*\s*")


@dataclass
class _Field:
    """A keyword and its string.

    Attributes:
        line: Number of its first line.
        keyword: ``msgid``, ``msgid_plural``, ``msgstr`` or ``msgctxt``.
        index: The number of the plural form; None: there is none.
        prefix: The source before the string.
        raw: The source of the string, which may have several lines.
        end: The source after the string, up to the next line.
        text: The string without quotation marks and escapes.
    """

    line: int
    keyword: str
    index: int | None
    prefix: str
    raw: str
    end: str
    text: str


@dataclass
class _Message:
    pieces: list[str | _Field] = field(default_factory=list)

    def fields(self, keyword: str) -> list[_Field]:
        return [f for f in self.pieces if isinstance(f, _Field) and f.keyword == keyword]

    @property
    def is_complete(self) -> bool:
        return bool(self.fields("msgstr"))

    @property
    def is_header(self) -> bool:
        names = self.fields("msgid")
        return bool(names) and not names[0].text and not self.fields("msgctxt")


class PoForm(Form):
    """A string of a catalogue; it is wrapped if its msgid has several lines."""

    keeps_lines = True

    def __init__(self, raw: str) -> None:
        """Take the source of the msgid."""
        self._in_lines = "\n" in raw
        self._end = "\r\n" if "\r\n" in raw else "\n"

    def finish(self, raw: str) -> str:
        """Return the string in quotation marks, with escapes."""
        lines = [line for line in re.split(r"(?<=\n)", raw) if line]
        if not self._in_lines and len(lines) <= 1:
            return f'"{_escaped(raw)}"'
        wrapped = [part for line in lines for part in _wrapped(_escaped(line))]
        return self._end.join(['""', *(f'"{part}"' for part in wrapped)])


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(character, character) for character in text)


def _wrapped(line: str) -> list[str]:
    """Cut a line of a string after spaces."""
    parts = [""]
    for word in _WORDS.findall(line):
        if parts[-1] and len(parts[-1]) + len(word) > _WIDTH:
            parts.append("")
        parts[-1] += word
    return parts


def read_po_document(text: str, options: DocumentOptions) -> Iterator[Item]:
    """Yield a catalogue; a segment with the text of msgid replaces each empty msgstr.

    The first plural form is translated from msgid, the others from msgid_plural. If the language
    has only one form, it is translated from msgid_plural.

    Raises:
        UserError: A line is not part of a catalogue.
    """
    message = _Message()
    for number, line in enumerate(re.split(r"(?<=\n)", text), start=1):
        body = line.strip()
        if not body or body.startswith("#") or DOMAIN.match(body):
            if message.is_complete:
                yield from _items(message, options)
                message = _Message()
            message.pieces.append(line)
            continue
        keyword = KEYWORD.match(body)
        if keyword and keyword[1] in ("msgid", "msgctxt") and message.is_complete:
            yield from _items(message, options)
            message = _Message()
        _add(message, line, number, keyword, options)
    yield from _items(message, options)


def _add(
    message: _Message,
    line: str,
    number: int,
    keyword: re.Match[str] | None,
    options: DocumentOptions,
) -> None:
    """Add a line with a string to a message.

    Raises:
        UserError: The line is not part of a catalogue.
    """
    body = line.strip()
    literal = body[keyword.end() :] if keyword else body
    found = STRING.fullmatch(literal)
    last = message.pieces[-1] if message.pieces else None
    if found is None or (keyword is None and not isinstance(last, _Field)):
        raise options.fault(
            number,
            f"is not a string in quotation marks, or has no keyword: {body[:40]!r}; fix it, for "
            "example with: msgfmt --check",
        )
    start = line.index(literal, len(line) - len(line.lstrip()) + (keyword.end() if keyword else 0))
    end = line[start + len(literal) :]
    if keyword is None and isinstance(last, _Field):
        last.raw += last.end + line[: start + len(literal)]
        last.text += unescaped(found[1])
        last.end = end
        return
    assert keyword is not None
    index = None if keyword[2] is None else int(keyword[2])
    prefix, text = line[:start], unescaped(found[1])
    message.pieces.append(_Field(number, keyword[1], index, prefix, literal, end, text))


def _items(message: _Message, options: DocumentOptions) -> Iterator[Item]:
    names, plurals = message.fields("msgid"), message.fields("msgid_plural")
    forms = len(message.fields("msgstr"))
    for piece in message.pieces:
        if isinstance(piece, str):
            yield piece
            continue
        yield piece.prefix
        wanted = piece.keyword == "msgstr" and names and not message.is_header
        if wanted and (options.retranslate or not piece.text.strip()):
            is_plural = plurals and (piece.index or forms == 1)
            yield _segment(plurals[0] if is_plural else names[0])
        else:
            yield piece.raw
        yield piece.end


def _segment(name: _Field) -> Segment:
    """Return the segment of a msgid; white space at its beginning and end does not change."""
    body = name.text.strip()
    start = name.text.find(body)
    edges = (name.text[:start], body, name.text[start + len(body) :])
    tokens = tuple(Text(part, part) for part in edges if part)
    return Segment(name.line, tokens, PoForm(name.raw), shown=name.raw)
