"""Parallel text from two files, plain or gzip: line i of both is a pair."""

import gzip
import zlib
from pathlib import Path

from nmt.errors import UserError


def read_lines(path: Path) -> list[str]:
    r"""Read a UTF-8 file into lines, without their ends; ``.gz`` is read as gzip.

    Only LF and CR LF end a line; other Unicode separators stay inside it, so that both sides of a
    corpus are always cut at the same places. A byte-order mark at the beginning is dropped.

    Raises:
        UserError: The file is missing, unreadable, damaged or not UTF-8; the line is named.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path} is not UTF-8: line {line} holds the byte 0x{content[error.start]:02x}; "
            f"convert it, for example with: iconv -f LATIN1 -t UTF-8"
        ) from None
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


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
