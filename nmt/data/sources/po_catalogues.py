"""Reads Gettext catalogues (.po) message by message."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nmt.data.sources import fault_messages
from nmt.data.sources.encodings import decode_with_marks
from nmt.data.sources.language_tags import Languages, is_swapped
from nmt.data.sources.pair_source import DataFault, FaultSink
from nmt.data.sources.records import Record
from nmt.data.sources.text_lines import byte_batches
from nmt.data.sources.xml_records import LONGEST_UNIT, SHORT_TEXT, text_decoder

KIND = "a PO catalogue"
_CHARSET = re.compile(rb'"Content-Type:[^\n"]*?charset=\s*([\w.:-]+)')
_LANGUAGE = re.compile(r"^Language:[ \t]*([\w@.-]+)", re.MULTILINE)
KEYWORD = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr)\s*(?:\[(\d{1,3})\])?\s*(?=\")")
DOMAIN = re.compile(r'domain\s+("[^"]*"|\S+)$')
"""A line that names the catalogue to which the following messages belong."""
STRING = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"')
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def read_po(path: Path, on_fault: FaultSink, languages: Languages) -> Iterator[Record]:
    """Yield the translated messages of a catalogue: msgid is the source, msgstr the target.

    If ``Language:`` in the header is the source language, the two are swapped. Singular and plural
    are separate pairs. Fuzzy, obsolete and untranslated messages are skipped. Reading ends at a
    line that is not part of a catalogue.
    """
    swapped: bool | None = False
    for message in _messages(path, on_fault):
        if message.is_header:
            found = _LANGUAGE.search(message.form("msgstr0"))
            language = found[1] if found else ""
            swapped = is_swapped((None, language), languages)
            if swapped is None:
                on_fault(fault_messages.other_languages(path, 1, [language], languages))
                return
        elif not message.is_fuzzy:
            for source, target in message.pairs():
                pair = (target, source) if swapped else (source, target)
                yield message.line, *pair


@dataclass
class _Message:
    """One message: its strings by keyword, ``msgstr0`` for the first translation."""

    line: int
    is_fuzzy: bool = False
    parts: dict[str, list[str]] = field(default_factory=dict)
    size: int = 0

    @property
    def is_header(self) -> bool:
        return "msgid" in self.parts and "msgctxt" not in self.parts and not self.form("msgid")

    @property
    def is_complete(self) -> bool:
        return "msgstr0" in self.parts

    def form(self, key: str) -> str:
        return "".join(self.parts.get(key, ()))

    def pairs(self) -> Iterator[tuple[str, str]]:
        for source, target in (("msgid", "msgstr0"), ("msgid_plural", "msgstr1")):
            if (text := self.form(source)) and (translation := self.form(target)):
                yield text, translation


def _messages(path: Path, on_fault: FaultSink) -> Iterator[_Message]:
    """Yield the messages, without obsolete ones, up to the first fault."""
    message, key = _Message(1), ""
    lines = _Lines(path, on_fault)
    for number, line in lines:
        line = line.strip()
        if line.startswith("#"):
            if message.is_complete:
                yield message
                lines.leave_header(message)
                message, key = _Message(number, size=1), ""
            elif not message.parts and not message.size:
                message.line, message.size = number, 1
            message.is_fuzzy |= line.startswith("#,") and "fuzzy" in line
            continue
        if not line or DOMAIN.match(line):
            continue
        keyword = KEYWORD.match(line)
        if keyword and keyword[1] in ("msgid", "msgctxt") and message.is_complete:
            yield message
            lines.leave_header(message)
            message = _Message(number)
        try:
            key, text = _string(line, keyword, key)
        except ValueError as error:
            if message.is_complete and not line.startswith('"'):
                yield message
            on_fault(fault_messages.malformed(path, number, KIND, str(error)))
            return
        if not message.parts and not message.size:
            message.line = number
        message.parts.setdefault(key, []).append(text)
        message.size += len(text) + SHORT_TEXT
        if message.size > LONGEST_UNIT:
            on_fault(fault_messages.long_line(path, message.line, LONGEST_UNIT))
            return
    lines.leave_header(message)
    if message.is_complete:
        yield message
    elif message.parts and not lines.is_broken:
        on_fault(
            fault_messages.malformed(path, message.line, KIND, "its last message has no msgstr")
        )


def _string(line: str, keyword: re.Match[str] | None, key: str) -> tuple[str, str]:
    """Return the key to which a line belongs, and the string in the line.

    Raises:
        ValueError: The line is not part of a catalogue.
    """
    if keyword is not None:
        key = keyword[1] if keyword[1] != "msgstr" else f"msgstr{int(keyword[2] or 0)}"
        line = line[keyword.end() :]
    found = STRING.fullmatch(line)
    if found is None or not key:
        raise ValueError(f"it is not a string in quotation marks, or has no keyword: {line[:40]!r}")
    return key, unescaped(found[1])


def unescaped(text: str) -> str:
    """Return the content of a string without its escapes."""
    return _ESCAPE.sub(_unescape, text) if "\\" in text else text


def _unescape(found: re.Match[str]) -> str:
    if found[1] or found[2]:
        return chr(int(found[1], 8) if found[1] else int(found[2], 16))
    return _ESCAPED.get(found[3], found[3])


class _Lines:
    """The lines of a catalogue with their numbers, decoded with the charset of its header.

    Errors of decoding in the header are ignored: it may have names before its charset.

    Attributes:
        is_broken: Whether a fault was reported.
    """

    def __init__(self, path: Path, on_fault: FaultSink) -> None:
        self._path, self._on_fault = path, on_fault
        self._charset = "utf-8"
        self._in_header = True
        self._in_first: list[DataFault] = []  # faults of the first message
        self.is_broken = False

    def __iter__(self) -> Iterator[tuple[int, str]]:
        number = 0
        for batch in byte_batches(self._path, self._report):
            for raw in batch.split(b"\n"):
                number += 1
                raw = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
                if self._in_header and not self._find_charset(raw, number):
                    return
                yield number, self._decode(raw, number)

    def leave_header(self, message: _Message) -> None:
        """Take the first message, which may be the header; later calls have no effect."""
        self._in_header = False
        if not message.is_header:
            for fault in self._in_first:
                self._report(fault)
        self._in_first = []

    def _report(self, fault: DataFault) -> None:
        self.is_broken = True
        self._on_fault(fault)

    def _find_charset(self, raw: bytes, number: int) -> bool:
        stated = _CHARSET.search(raw)
        if stated and stated[1] != b"CHARSET":
            try:
                text_decoder(stated[1].decode())
            except ValueError as error:
                self._report(fault_messages.malformed(self._path, number, KIND, str(error)))
                return False
            self._charset = stated[1].decode()
        return True

    def _decode(self, raw: bytes, number: int) -> str:
        try:
            return raw.decode(self._charset)
        except UnicodeDecodeError as error:
            fault = self._undecodable(raw[error.start], number)
            if self._in_header:
                self._in_first = self._in_first or [fault]
            else:
                self._report(fault)
            return decode_with_marks(raw, self._charset)

    def _undecodable(self, byte: int, number: int) -> DataFault:
        if self._charset.lower().replace("-", "") == "utf8":
            return fault_messages.not_utf8(self._path, number, byte)
        kind = f"in {self._charset}, the charset of its header"
        reason = f"it contains the byte 0x{byte:02x}"
        return fault_messages.malformed(self._path, number, kind, reason)
