"""Parallel text from two files, plain or gzip: line i of both is a pair."""

import codecs
import gzip
import zlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from nmt.errors import UserError


def read_lines(path: Path) -> list[str]:
    """Read a UTF-8 file into lines, as `stream_lines` does.

    Raises:
        UserError: The file is missing, unreadable, damaged or not UTF-8; the line is named.
    """
    return list(stream_lines(path))


def stream_lines(path: Path) -> Iterator[str]:
    r"""Yield the lines of a UTF-8 file, without their ends; ``.gz`` is read as gzip.

    Only LF and CR LF end a line; other Unicode separators stay inside it, so that both sides of a
    corpus are always cut at the same places. A byte-order mark at the beginning is dropped.

    Raises:
        UserError: The file is missing, unreadable, damaged or not UTF-8; the line is named.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                yield _decode(line, path, number).removesuffix("\n").removesuffix("\r")
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def stream_aligned(*paths: Path) -> Iterator[tuple[str, ...]]:
    """Yield line i of several files together, for files that need not fit into memory.

    Raises:
        UserError: A file is at fault, or one ends before another, which is told when it does.
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


def _decode(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8: line {number} holds the byte 0x{line[error.start]:02x}; "
            f"convert it, for example with: iconv -f LATIN1 -t UTF-8"
        ) from None


def read_pair(source: Path, target: Path) -> tuple[list[str], list[str]]:
    """Read the two sides of a split.

    Raises:
        UserError: A side is empty or unreadable, or the numbers of lines differ.
    """
    sides = read_lines(source), read_lines(target)
    if len(sides[0]) != len(sides[1]):
        raise UserError(
            f"{source} has {len(sides[0]):,} lines but {target} has {len(sides[1]):,}; "
            "line i of both must be a pair: find the line that is missing or doubled"
        )
    if not any(line.strip() for line in sides[0]):
        raise UserError(f"{source} holds no text")
    if not any(line.strip() for line in sides[1]):
        raise UserError(f"{target} holds no text")
    return sides
