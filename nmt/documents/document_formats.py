"""Reads documents of all formats, translates their segments, and returns their bytes."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from nmt.documents.document_encoding import DocumentEncoding
from nmt.documents.document_kinds import DocumentFormat
from nmt.documents.document_options import DocumentOptions
from nmt.documents.html_documents import read_html
from nmt.documents.line_documents import read_json_line_documents, read_lines, read_table
from nmt.documents.markdown_blocks import read_markdown
from nmt.documents.po_documents import read_po_document
from nmt.documents.segment_translation import SegmentTranslation
from nmt.documents.segments import Items
from nmt.documents.subtitles import read_srt, read_vtt
from nmt.documents.tmx_documents import read_tmx_document
from nmt.documents.xliff_documents import read_xliff_document
from nmt.errors import UserError

MOST_BYTES = 1 << 28
"""Maximum bytes of a document that is read as a whole."""

_SNIFFED_BYTES = 4096


@dataclass(frozen=True)
class _Reading:
    """How a format is read.

    Attributes:
        read: Returns the items of a document: of its lines if ``by_lines``, else of its text.
        by_lines: Whether a document is read, translated and written line by line.
        writes_records: Whether an output file contains the translations so far at any time.
        declaration: The format of a declared encoding; see `DocumentEncoding.of`.
        has_lines: Whether line ends are part of a format that is read as a whole.
    """

    read: Callable[[Any, DocumentOptions], Items]
    by_lines: bool = False
    writes_records: bool = False
    declaration: str | None = None
    has_lines: bool = False


_READINGS = {
    DocumentFormat.TEXT: _Reading(read_lines, by_lines=True, writes_records=True),
    DocumentFormat.TSV: _Reading(read_table, by_lines=True, writes_records=True),
    DocumentFormat.JSONL: _Reading(read_json_line_documents, by_lines=True, writes_records=True),
    DocumentFormat.TMX: _Reading(read_tmx_document, declaration="xml"),
    DocumentFormat.XLIFF: _Reading(read_xliff_document, declaration="xml"),
    DocumentFormat.PO: _Reading(read_po_document, declaration="po", has_lines=True),
    DocumentFormat.SRT: _Reading(read_srt, by_lines=True),
    DocumentFormat.VTT: _Reading(read_vtt, by_lines=True),
    DocumentFormat.MARKDOWN: _Reading(read_markdown, has_lines=True),
    DocumentFormat.HTML: _Reading(read_html, declaration="html"),
}


def writes_records(format: DocumentFormat) -> bool:
    """Return whether an output file is written record by record, e.g. line by line."""
    return _READINGS[format].writes_records


def translated_document(
    blocks: Iterable[bytes],
    format: DocumentFormat,
    options: DocumentOptions,
    translation: SegmentTranslation,
) -> Iterator[tuple[bytes, int]]:
    """Yield a translated document in parts, each with the number of its segments.

    Args:
        blocks: The bytes of the document.
        format: The format of the document.
        options: What is translated.
        translation: Translates the segments.

    Raises:
        UserError: The document is faulty or too large.
    """
    reading = _READINGS[format]
    blocks = iter(blocks)
    first = _beginning(blocks, reading)
    encoding = DocumentEncoding.of(first, options.file, reading.declaration)
    document: Any
    if reading.by_lines:
        document = encoding.lines(_chained(first, blocks))
    else:
        document = encoding.decode(_whole(first, blocks, options))
        if "\0" in document:
            raise options.fault(None, f"has a NUL character, so it is not {format}")
    if encoding.mark:
        yield encoding.mark, 0
    only_returns = reading.has_lines and "\r" in document and "\n" not in document
    if only_returns:  # readers do not recognize a carriage return alone as a line end
        document = document.replace("\r", "\n")
    for text, count in translation.run(reading.read(document, options)):
        yield encoding.encode(text.replace("\n", "\r") if only_returns else text), count


def _beginning(blocks: Iterator[bytes], reading: _Reading) -> bytes:
    """Return the first bytes of a document, which show its encoding."""
    first = b""
    while len(first) < (4 if reading.by_lines else _SNIFFED_BYTES):
        block = next(blocks, b"")
        if not block:
            break
        first += block
    return first


def _chained(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from blocks


def _whole(first: bytes, blocks: Iterator[bytes], options: DocumentOptions) -> bytes:
    parts, size = [first], len(first)
    for block in blocks:
        parts.append(block)
        size += len(block)
        if size > MOST_BYTES:
            raise UserError(
                f"{options.file} has more than {MOST_BYTES >> 20} MiB: split it, or convert it to "
                "JSON lines, which are translated line by line"
            )
    return b"".join(parts)
