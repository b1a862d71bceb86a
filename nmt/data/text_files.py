"""Reads text files for the commands; lines i of several files belong together."""

import os
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from nmt.data.sources import fault_messages
from nmt.data.sources.pair_source import refuse
from nmt.data.sources.text_lines import has_text, numbered_lines
from nmt.errors import UserError
from nmt.file_names import COMPRESSED

_BLOCK = 1 << 20  # bytes


def read_lines(path: Path) -> list[str]:
    """Read a UTF-8 file into lines, as `stream_lines` does.

    Raises:
        UserError: The file is missing, unreadable, damaged or not UTF-8.
    """
    return list(stream_lines(path))


def stream_lines(path: Path) -> Iterator[str]:
    r"""Yield the lines of a UTF-8 file without their line ends; its suffix shows a compression.

    Only LF and CR LF end a line. A byte-order mark at the beginning is removed.

    Raises:
        UserError: The file is missing, unreadable, damaged or not UTF-8.
    """
    for _, line in numbered_lines(path, refuse):
        yield line.removesuffix("\r")


def count_lines(path: Path) -> int | None:
    """Return the number of lines of a file; None: it is compressed, or it can be read only once.

    A gigabyte takes about a second.
    """
    if not os.path.isfile(path) or path.suffix.lower() in COMPRESSED:
        return None
    lines, last = 0, b""
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                lines += block.count(b"\n")
                last = block[-1:]
    except OSError:
        return None  # the error is raised when the lines are read
    return lines + (last not in (b"", b"\n"))


def stream_aligned(*paths: Path) -> Iterator[tuple[str, ...]]:
    """Yield line i of several files together; the files need not fit into memory.

    Raises:
        UserError: A file is faulty, or one ends before another; raised when that line is reached.
    """
    streams = [stream_lines(path) for path in paths]
    for number, lines in enumerate(zip_longest(*streams), start=1):
        if None in lines:
            shorter, longer = paths[lines.index(None)], paths[_first_line(lines)]
            raise UserError(
                f"{longer} has a line {number:,} but {shorter} ends before it; line i of both "
                "must belong together: find the line that is missing or doubled"
            )
        yield lines


def _first_line(lines: Sequence[str | None]) -> int:
    return next(i for i, line in enumerate(lines) if line is not None)


def read_pair(source: Path, target: Path) -> tuple[list[str], list[str]]:
    """Read the lines of the two sides of a split.

    Raises:
        UserError: A side is empty or unreadable, or the numbers of lines differ.
    """
    sides = read_lines(source), read_lines(target)
    if len(sides[0]) != len(sides[1]):
        refuse(fault_messages.unequal_lines(source, target, (len(sides[0]), len(sides[1]))))
    for path, side in zip((source, target), sides, strict=True):
        if not has_text(side):
            refuse(fault_messages.no_text(path))
    return sides
