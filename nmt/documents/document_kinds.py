"""The formats of documents, and the suffixes that show them."""

from enum import StrEnum
from pathlib import Path

from nmt.file_names import without_compression


class DocumentFormat(StrEnum):
    """A format of documents."""

    TEXT = "text"
    """Each line is a sentence."""
    TSV = "tsv"
    """Rows with columns that tabs separate."""
    JSONL = "jsonl"
    """A JSON object per line."""
    TMX = "tmx"
    """A translation memory."""
    XLIFF = "xliff"
    """XLIFF 1.2 or 2.x."""
    PO = "po"
    """A gettext catalogue."""
    SRT = "srt"
    """SubRip subtitles."""
    VTT = "vtt"
    """WebVTT subtitles."""
    MARKDOWN = "markdown"
    """CommonMark with tables, footnotes and front matter."""
    HTML = "html"
    """A page or a part of a page."""


SUFFIXES = {
    ".tsv": DocumentFormat.TSV,
    ".tab": DocumentFormat.TSV,
    ".jsonl": DocumentFormat.JSONL,
    ".ndjson": DocumentFormat.JSONL,
    ".tmx": DocumentFormat.TMX,
    ".xlf": DocumentFormat.XLIFF,
    ".xliff": DocumentFormat.XLIFF,
    ".po": DocumentFormat.PO,
    ".pot": DocumentFormat.PO,
    ".srt": DocumentFormat.SRT,
    ".vtt": DocumentFormat.VTT,
    ".md": DocumentFormat.MARKDOWN,
    ".markdown": DocumentFormat.MARKDOWN,
    ".html": DocumentFormat.HTML,
    ".htm": DocumentFormat.HTML,
    ".xhtml": DocumentFormat.HTML,
}
"""The format of a file by its suffix in lower case."""


def format_by_suffix(path: Path) -> DocumentFormat | None:
    """Return the format of a file by its suffix; None: it is not the suffix of a document.

    A suffix of compression is ignored.
    """
    return SUFFIXES.get(without_compression(path).suffix.lower())
