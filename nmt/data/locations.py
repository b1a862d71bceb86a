"""Positions in the files of a corpus, and short excerpts of the text there."""

from dataclasses import dataclass
from pathlib import Path

from nmt.data.sources.file_patterns import format_suffix

SHOWN = 5
"""Number of locations that a report keeps per rule."""

_EXCERPT = 60  # characters
_TABLES = (".csv", ".tsv", ".tab")


@dataclass(frozen=True)
class Location:
    """A position in a file of a corpus.

    Attributes:
        file: The file; if each side has its own, that of the faulty side.
        line: Line, row or unit number, counted from 1; None for the file as a whole.
        text: Shortened text at that position, with invisible characters escaped.
    """

    file: str
    line: int | None
    text: str = ""

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}, {self.unit} {self.line:,}"

    @property
    def unit(self) -> str:
        """What the number counts: rows of a table, which may have several lines; else lines."""
        return "row" if format_suffix(Path(self.file)) in _TABLES else "line"


def excerpt(text: str, around: int = 0) -> str:
    """Return at most 60 characters of a text, with invisible characters escaped.

    Args:
        text: A text of any length.
        around: Index of a character that the excerpt must include.
    """
    start = max(0, min(around - _EXCERPT // 2, len(text) - _EXCERPT))
    part = text[start : start + _EXCERPT]
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in part)
    return f"{'…' if start else ''}{visible}{'…' if start + _EXCERPT < len(text) else ''}"
