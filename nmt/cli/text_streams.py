"""Text on standard output: UTF-8 in every locale, without control characters on a terminal."""

import io
import sys
from typing import TextIO

from nmt.printable import printable


def utf8_stream(stream: TextIO) -> TextIO:
    """Set a standard stream to UTF-8 in every locale; only LF ends a line."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="strict", newline="\n")
    return stream


def safe_line(line: str, stream: TextIO) -> str:
    """Return a line unchanged, or for a terminal with control characters as escapes.

    Text of a model or a corpus may contain ESC and BEL, which a terminal would interpret. Tabs and
    line feeds stay.
    """
    return printable(line, keep_breaks=True) if stream.isatty() else line


def print_safely(line: str) -> None:
    """Print a line that contains the name of a file; see `safe_line`."""
    print(safe_line(line, sys.stdout))
