"""Text into and out of the plain commands: UTF-8, one sentence a line."""

import io
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

from nmt.errors import UserError


def utf8(stream: TextIO) -> TextIO:
    """Return a standard stream in UTF-8 whatever the locale; only LF (or CR LF) ends a line."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="strict", newline="\n")
    return stream


def input_lines(stream: TextIO, prompt: str | None) -> Iterator[str]:
    """Yield lines without their ends; with a prompt, which goes to stderr, until end of file.

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
                f"standard input is not UTF-8 behind line {number:,}: {error.reason}; convert it, "
                "for example with: iconv -f LATIN1 -t UTF-8"
            ) from None
        if not line:
            break
        number += 1
        yield line.removesuffix("\n").removesuffix("\r")
    if prompt is not None:
        print(file=sys.stderr)


def chunked(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    """Collect lines into lists of ``size``, the last one shorter."""
    chunk: list[str] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
