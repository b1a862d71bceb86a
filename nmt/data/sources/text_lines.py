"""Reads the lines of a UTF-8 file in batches; faults are reported with their line.

Only a line feed ends a line. Other Unicode separators stay inside a line, so that both sides of a
corpus are split consistently.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path

from nmt.data.sources import fault_messages
from nmt.data.sources.compression import read_blocks
from nmt.data.sources.pair_source import FaultSink
from nmt.errors import UserError

LONGEST = 1 << 24  # bytes of a line; a file with longer lines is not text and would fill the memory

WIDE_BYTES = 4096  # bytes examined to detect UTF-16
WIDE_SHARE = 5  # one NUL in 5 bytes indicates UTF-16; Latin text in UTF-16 has one in 2


def line_batches(path: Path, on_fault: FaultSink) -> Iterator[list[str]]:
    """Yield the lines of a file without line feeds, some thousands per batch.

    Carriage returns and a byte-order mark are kept. The lines before a fault are yielded before it
    is reported. A line that is not UTF-8 is yielded with U+FFFD; an unreadable file ends before its
    incomplete line.
    """
    count = 0
    for text in byte_batches(path, on_fault):
        for lines in _decoded(text, path, count, on_fault):
            count += len(lines)
            yield lines


def byte_batches(path: Path, on_fault: FaultSink) -> Iterator[bytes]:
    """Yield a file as whole lines that are not decoded, without the last line feed of each part."""
    count = 0
    rest: list[bytes] = []  # of the line that is not complete yet
    length = 0
    blocks = read_blocks(path)
    while True:
        try:
            block = next(blocks, b"")
        except UserError as error:
            on_fault(fault_messages.unreadable(path, count + 1, error))
            return
        if not block:
            break
        if not count and not rest and (encoding := wide_encoding(block)):
            on_fault(fault_messages.wide(path, encoding))
            return
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


def _decoded(text: bytes, path: Path, count: int, on_fault: FaultSink) -> Iterator[list[str]]:
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
            on_fault(fault_messages.not_utf8(path, number, line[error.start], line))
            good = [line.decode("utf-8", errors="replace")]
    yield good


def wide_encoding(start: bytes) -> str | None:
    """Return UTF-16 or UTF-32 if the first bytes of a file look like it, else None."""
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    start = start[:WIDE_BYTES]
    return "UTF-16" if start.count(0) > 1 and start.count(0) * WIDE_SHARE >= len(start) else None


def numbered_lines(path: Path, on_fault: FaultSink) -> Iterator[tuple[int, str]]:
    """Yield each line with its number, from 1; a byte-order mark at the beginning is removed."""
    number = 0
    for lines in line_batches(path, on_fault):
        if not number:
            lines[0] = lines[0].removeprefix("\ufeff")
        for line in lines:
            number += 1
            yield number, line


def has_text(texts: list[str]) -> bool:
    """Return whether any of the texts is not blank."""
    return any(text.removeprefix("\ufeff").strip() for text in texts)
