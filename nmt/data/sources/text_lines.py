"""Reads the lines of a text file in batches; faults are reported with their line.

Only a line feed ends a line. Other Unicode separators stay inside a line, so that both sides of a
corpus are split consistently.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from nmt.data.sources import fault_messages
from nmt.data.sources.compression import read_blocks
from nmt.data.sources.encodings import (
    UNSET,
    Encoding,
    as_utf8,
    decode_with_marks,
    marked_encoding,
    utf16_without_mark,
)
from nmt.data.sources.pair_source import FaultSink
from nmt.errors import UserError

LONGEST = 1 << 24  # bytes of a line; longer lines are refused, as they would fill the memory

_OTHER_FILES = {
    b"PK\x03\x04": "a document or workbook (.docx, .odt, .xlsx, .ods) or another zip archive",
    b"\xd0\xcf\x11\xe0": "a document or workbook of old Microsoft Office (.doc, .xls)",
    b"%PDF-": "a PDF",
    b"{\\rtf": "a document of a word processor (.rtf)",
}
"""The first bytes of files that are not text."""


def other_kind(first: bytes) -> str | None:
    """Return the kind of a file that is not text, by its first bytes; None: it may be text."""
    return next((what for start, what in _OTHER_FILES.items() if first.startswith(start)), None)


def line_batches(
    path: Path, on_fault: FaultSink, encoding: Encoding = UNSET
) -> Iterator[list[str]]:
    """Yield the lines of a file without line feeds, some thousands per batch.

    Carriage returns and a byte-order mark are kept. The lines before a fault are yielded before the
    fault is reported. In a line that cannot be decoded, `UNDECODED` replaces bytes. An unreadable
    file ends before its incomplete line.
    """
    count = 0
    for text in byte_batches(path, on_fault, encoding):
        for lines in _decoded(text, path, count, on_fault, encoding):
            count += len(lines)
            yield lines


def byte_batches(path: Path, on_fault: FaultSink, encoding: Encoding = UNSET) -> Iterator[bytes]:
    """Yield parts of whole lines in UTF-8, each without its last line feed."""
    count = 0
    rest: list[bytes] = []  # of the line that is not complete yet
    length = 0
    blocks = _blocks(path, on_fault, encoding)
    while True:
        try:
            block = next(blocks, None)
        except UserError as error:
            on_fault(fault_messages.unreadable(path, count + 1, error))
            return
        if block is None:
            break
        end = block.rfind(b"\n") + 1
        if not end:
            rest.append(block)
            length += len(block)
            if length > LONGEST:
                on_fault(fault_messages.long_line(path, count + 1, LONGEST))
                return
            continue
        text = b"".join((*rest, block[: end - 1]))
        rest, length = [block[end:]], len(block) - end
        count += text.count(b"\n") + 1
        yield text
    if last := b"".join(rest):
        yield last


def _blocks(path: Path, on_fault: FaultSink, encoding: Encoding) -> Iterator[bytes]:
    """Yield a file in UTF-8; yield nothing if its first bytes show another kind of file."""
    blocks = read_blocks(path)
    first = next(blocks, b"")
    other = other_kind(first)
    if other is not None:
        on_fault(fault_messages.other_file(path, other))
        return
    if marked := marked_encoding(first):
        on_fault(fault_messages.read_as(path, marked))
    elif encoding.name is None and (wide := utf16_without_mark(first)):
        on_fault(fault_messages.wide(path, wide, encoding))
        return
    yield from as_utf8(chain([first], blocks), encoding)


def _decoded(
    text: bytes, path: Path, count: int, on_fault: FaultSink, encoding: Encoding
) -> Iterator[list[str]]:
    """Yield the lines of a part of the file; ``count`` is the number of lines before it."""
    try:
        yield text.decode("utf-8").split("\n")
        return
    except UnicodeDecodeError:
        pass
    good: list[str] = []
    for number, line in enumerate(text.split(b"\n"), start=count + 1):
        try:
            good.append(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            if good:
                yield good
            on_fault(fault_messages.not_utf8(path, number, line[error.start], line, encoding))
            good = [decode_with_marks(line)]
    yield good


def numbered_lines(
    path: Path, on_fault: FaultSink, encoding: Encoding = UNSET
) -> Iterator[tuple[int, str]]:
    """Yield each line with its number, from 1; a byte-order mark at the beginning is removed."""
    number = 0
    for lines in line_batches(path, on_fault, encoding):
        if not number:
            lines[0] = lines[0].removeprefix("\ufeff")
        for line in lines:
            number += 1
            yield number, line


def has_text(texts: list[str]) -> bool:
    """Return whether any of the texts is not blank."""
    return any(text.removeprefix("\ufeff").strip() for text in texts)
