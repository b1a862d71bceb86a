"""Shell commands that print the lines around a location, for messages."""

import os
from collections.abc import Sequence
from pathlib import Path

from nmt.config.source_settings import Format
from nmt.data.locations import Location
from nmt.data.sources.file_patterns import format_suffix
from nmt.data.sources.open_source import SUFFIXES

_CONTEXT = 3  # lines printed before and after the location
_LINE_FORMATS = (Format.LINES, Format.TSV, Format.CSV)
_PRINT = {".gz": "zcat", ".bz2": "bzcat", ".xz": "xzcat", ".zst": "zstdcat"}


def with_show_commands(remedy: str, locations: Sequence[Location]) -> str:
    """Append commands that show the locations, one command per line; only for 2 or more."""
    commands = show_commands(locations) if len(locations) > 1 else []
    return "\n".join([f"{remedy}; to see both sides there:", *commands]) if commands else remedy


def show_commands(locations: Sequence[Location]) -> list[str]:
    """Return commands that print the lines around locations, one command per text file."""
    commands = {p.file: _show(p.file, p.line) for p in locations if p.line and has_lines(p.file)}
    return list(commands.values())


def has_lines(file: str) -> bool:
    """Return whether sed can print the texts of a file by their line numbers."""
    form = SUFFIXES.get(format_suffix(Path(file)), Format.LINES)
    return form in _LINE_FORMATS and not os.path.isdir(file)


def has_both_sides(file: str) -> bool:
    """Return whether the format of a file, by its suffix, has both sides in one file."""
    return format_suffix(Path(file)) in SUFFIXES


def inside_quotes(file: str) -> str:
    """Return a file name as it is written between the single quotes of a shell."""
    return file.replace("'", r"'\''")


def _show(file: str, line: int) -> str:
    part = f"sed -n '{max(1, line - _CONTEXT)},{line + _CONTEXT}p'"
    file = inside_quotes(file)
    archive, inside, member = file.partition(".zip/")
    if inside:
        return f"unzip -p '{archive}.zip' '{member}' | {part}"
    decompress = _PRINT.get(Path(file).suffix.lower())
    return f"{part} '{file}'" if decompress is None else f"{decompress} '{file}' | {part}"
