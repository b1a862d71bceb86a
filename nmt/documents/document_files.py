"""Translates one document file into another."""

from collections.abc import Collection, Iterator
from pathlib import Path

from nmt.data.sources.compression import read_blocks
from nmt.documents.document_formats import translated_document
from nmt.documents.document_kinds import DocumentFormat, format_by_suffix
from nmt.documents.document_options import DocumentOptions
from nmt.documents.protection import Protected, Protection
from nmt.documents.segment_translation import SegmentTranslation, TextTranslator
from nmt.durable_file import atomic_write
from nmt.errors import UserError
from nmt.written_file import written_file


def translate_file(
    source: Path,
    output: Path,
    translator: TextTranslator,
    options: DocumentOptions,
    format: str | None,
    protect: Collection[str],
) -> int:
    """Translate a document; the output file appears when it is complete.

    Args:
        source: The document, which may be compressed.
        output: The file of its translation.
        translator: Translates the texts of the document.
        options: What is translated.
        format: The name of a `DocumentFormat`; None: that of the suffix of ``source``.
        protect: Names of kinds of `Protected`.

    Returns:
        The number of segments.

    Raises:
        UserError: The document is faulty, or a file cannot be read or written.
    """
    kind = _kind(source, format)
    for word in protect:
        if word not in list(Protected):
            raise UserError(f"protect has {word!r}; it may have: {', '.join(Protected)}")
    if output.exists() and source.exists() and output.samefile(source):
        raise UserError(f"{output} is the document itself; choose another name")
    segments = SegmentTranslation(translator, Protection({Protected(word) for word in protect}))
    count = 0
    blocks: Iterator[bytes] = read_blocks(source)
    parts = translated_document(blocks, kind, options, segments)
    with (
        written_file(str(output), output),
        atomic_write(output) as partial,
        partial.open("wb") as file,
    ):
        for part, number in parts:
            file.write(part)
            count += number
    return count


def _kind(source: Path, format: str | None) -> DocumentFormat:
    if format is not None:
        if format not in list(DocumentFormat):
            raise UserError(f"format is {format}; choose from {', '.join(DocumentFormat)}")
        return DocumentFormat(format)
    found = format_by_suffix(source)
    if found is None:
        raise UserError(
            f"{source} has no suffix of a document; give its format, one of: "
            f"{', '.join(DocumentFormat)}"
        )
    return found
