"""Tables for a terminal in Markdown, and the sizes in their cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nmt.reporting.text_width import text_width


def aligned(head: Sequence[str], cells: Sequence[Sequence[str]], left: int) -> Iterator[str]:
    r"""Yield the lines of a table; the first ``left`` columns are left-aligned, the others right.

    A ``|`` in a cell becomes ``\|``, as Markdown needs it.
    """
    head = [text.replace("|", "\\|") for text in head]
    cells = [[text.replace("|", "\\|") for text in row] for row in cells]
    widths = [max(map(text_width, column)) for column in zip(head, *cells, strict=True)]
    widths = [max(3, width) for width in widths]

    def line(texts: Sequence[str]) -> str:
        padded = []
        for column, (text, width) in enumerate(zip(texts, widths, strict=True)):
            space = " " * (width - text_width(text))
            padded.append(text + space if column < left else space + text)
        return f"| {' | '.join(padded)} |"

    yield line(head)
    rules = ["-" * w if column < left else "-" * (w - 1) + ":" for column, w in enumerate(widths)]
    yield line(rules)
    yield from map(line, cells)


def format_bytes(count: float) -> str:
    """Format a number of bytes with its unit, e.g. 12 B or 3.4 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} TiB"
