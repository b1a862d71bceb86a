"""Reads and writes standard streams as UTF-8 text with one sentence per line."""

import io
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

from nmt.errors import UserError


def utf8_stream(stream: TextIO) -> TextIO:
    """Set a standard stream to UTF-8, whatever the locale; only LF or CR LF ends a line."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="strict", newline="\n")
    return stream


def read_sentences(stream: TextIO, prompt: str | None) -> Iterator[str]:
    """Yield the lines of a stream without their line ends.

    Args:
        stream: Standard input.
        prompt: Printed to stderr before each line; None: nothing is printed.

    Raises:
        UserError: A line is not UTF-8.
    """
    number = 0
    while True:
        if prompt is not None:
            print(prompt, end="", file=sys.stderr, flush=True)
        try:
            line = stream.readline()
        except UnicodeDecodeError as error:
            raise UserError(
                f"standard input is not UTF-8 after line {number:,}: {error.reason}; convert it, "
                "e.g. with: iconv -f LATIN1 -t UTF-8"
            ) from None
        if not line:
            break
        number += 1
        yield line.removesuffix("\n").removesuffix("\r")
    if prompt is not None:
        print(file=sys.stderr)


def chunked(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    """Collect lines into lists of ``size``; the last list may be shorter."""
    chunk: list[str] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
