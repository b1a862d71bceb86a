"""The faults of files with sentence pairs; each message is one line with a remedy."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from nmt.data.sources.pair_source import DataFault
from nmt.errors import UserError

Origin = Path | str
"""A file, or the name of another source."""

SHOWN = 8  # maximum number of columns in a message
WIDTH = 40  # maximum number of characters per column


def unreadable(path: Path, line: int | None, error: UserError) -> DataFault:
    """Return the fault of a missing, damaged or truncated file; reading ends there."""
    exists = os.path.exists(path) or any(os.path.isfile(parent) for parent in path.parents)
    rule = "unreadable" if exists else "missing_file"
    where = f", after line {line - 1:,}" if line is not None and line > 1 else ""
    return DataFault(rule, str(path), line, f"{error}{where}")


def not_utf8(path: Path, line: int, byte: int, text: bytes = b"") -> DataFault:
    """Return the fault of a line that cannot be decoded; the line shows its likely encoding."""
    encoding, words = likely_encoding(text or bytes([byte]))
    return DataFault(
        "not_utf8",
        str(path),
        line,
        f"{path} is not UTF-8: line {line} contains the byte 0x{byte:02x} and looks like {words}; "
        f"convert it, for example with: iconv -f {encoding} -t UTF-8; or save the sheet as CSV "
        "UTF-8",
    )


def wide(path: Path, encoding: str) -> DataFault:
    """Return the fault of a file in an encoding with two or four bytes per character."""
    return DataFault(
        "utf16",
        str(path),
        None,
        f"{path} is not UTF-8 but looks like {encoding}; "
        f"convert it, for example with: iconv -f {encoding} -t UTF-8; or save the sheet as CSV "
        "UTF-8",
    )


def likely_encoding(line: bytes) -> tuple[str, str]:
    """Return the likely encoding of a line that is not UTF-8, for iconv and in words."""
    high = [byte for byte in line if byte >= 0x80]
    letters = sum(byte >= 0xC0 or chr(byte).isalpha() for byte in line if byte not in high)
    if len(high) > 3 and len(high) > letters:  # words of nothing but accented letters
        words = "an encoding of its script, e.g. WINDOWS-1251, SHIFT_JIS or GB18030"
        return "WINDOWS-1251", words
    return "WINDOWS-1252", "Windows-1252, which spreadsheet programs of Western Europe write"


def long_line(path: Path, line: int, limit: int) -> DataFault:
    """Return the fault of a line that is too long; reading ends there."""
    return DataFault(
        "long_line",
        str(path),
        line,
        f"{path}, line {line:,} does not end within {limit >> 20} MiB: "
        "it is not text with one sentence per line",
    )


def unequal_lines(source: Path, target: Path, lines: tuple[int, int]) -> DataFault:
    """Return the fault of two files with different numbers of lines."""
    return DataFault(
        "unequal_lines",
        str(target if lines[1] < lines[0] else source),
        min(lines) + 1,
        f"{source} has {lines[0]:,} lines but {target} has {lines[1]:,}; "
        "line i of both must be a pair: find the line that is missing or doubled; nmt data check "
        "searches for it",
    )


def no_text(origin: Origin, side: str = "") -> DataFault:
    """Return the fault of a file that is empty or entirely blank, on one side or on both."""
    return DataFault(
        "no_text", str(origin), None, f"{origin} contains no text{side and f' in {side}'}"
    )


def missing_column(
    origin: Origin, line: int | None, name: str, columns: Sequence[str], remedy: str
) -> DataFault:
    """Return the fault of a table or a record without a column; it lists the existing ones."""
    where = str(origin) if line is None else f"{origin}, row {line:,}"
    message = f"{where} has no column {name!r}; its columns are {_listed(columns)}: {remedy}"
    return DataFault("missing_column", str(origin), line, message)


def missing_translation(
    origin: Origin, line: int | None, languages: tuple[str, str], keys: Sequence[str]
) -> DataFault:
    """Return the fault of a ``translation`` column without one of the languages."""
    where = str(origin) if line is None else f"{origin}, row {line:,}"
    message = (
        f"{where} has no pairs of {languages[0]} and {languages[1]}; its translation has "
        f"{_listed(keys)}: set data.source_language and data.target_language to two of them"
    )
    return DataFault("missing_column", str(origin), line, message)


def wrong_width(
    path: Path, line: int, columns: int, expected: int, separator: str, *, quoted: bool = False
) -> DataFault:
    """Return the fault of a record with more or fewer columns than the others.

    If a cell begins with a quotation mark in a table without quoting, the message names the format.
    """
    message = (
        f"{path}, line {line:,} has {_counted(columns)}, but the other lines have {expected}: "
        f"look for a {'missing' if columns < expected else 'superfluous'} {separator}"
        f"{', or read quoted cells by data.train.format=csv' if quoted else ''}"
    )
    rule = "too_few_columns" if columns < expected else "too_many_columns"
    return DataFault(rule, str(path), line, message)


def _counted(columns: int) -> str:
    return f"{columns} column{'' if columns == 1 else 's'}"


def bad_quotes(path: Path, first: int, last: int, reason: str) -> DataFault:
    """Return the fault of a CSV record that cannot be parsed."""
    if last > first:
        reason = f"it does not end by line {last:,}, and no later line can be trusted"
    message = (
        f"{path}, line {first:,} is not a CSV record: {reason}; look for a quote that is not "
        "closed, or not doubled inside a field"
    )
    return DataFault("bad_quotes", str(path), first, message)


def not_json(path: Path, line: int, reason: str) -> DataFault:
    """Return the fault of a line that is not a JSON object."""
    message = (
        f"{path}, line {line:,} is not a JSON object: {reason}; "
        'every line must be one, e.g. {"en": "...", "de": "..."}'
    )
    return DataFault("not_json", str(path), line, message)


def not_text(origin: Origin, line: int, column: str, value: object) -> DataFault:
    """Return the fault of a record with a value that is not text, e.g. null or a number."""
    what = "null" if value is None else f"of type {type(value).__name__}"
    message = (
        f"{origin}, row {line:,} is not a pair of texts: its {column!r} is {what}; "
        "give it a text, or remove the row"
    )
    return DataFault("not_text", str(origin), line, message)


def forbidden(origin: Origin, line: int, text: str) -> DataFault:
    """Return the fault of a text with a NUL or a lone surrogate, which is not valid UTF-8 text."""
    found = re.search("[\0\ud800-\udfff]", text)
    code = f"U+{ord(found[0]):04X}" if found else "a character"
    message = f"{origin}, line {line:,} contains {code}, which is not allowed in text: remove it"
    return DataFault("forbidden_character", str(origin), line, message)


def malformed(path: Path, line: int | None, kind: str, reason: str) -> DataFault:
    """Return the fault of a file that does not have its supposed format."""
    where = str(path) if line is None else f"{path}, line {line:,}"
    message = f"{where} is not {kind}: {' '.join(reason.split())}; fix it or export it again"
    return DataFault("malformed", str(path), line, message)


def entities(path: Path) -> DataFault:
    """Return the fault of an XML file that declares entities, which could read other files."""
    message = (
        f"{path} declares its own XML entities, which are not read for safety: "
        "expand them, for example with: xmllint --noent --dropdtd"
    )
    return DataFault("xml_entities", str(path), None, message)


def other_languages(
    path: Path, line: int | None, found: Sequence[str], languages: tuple[str, str]
) -> DataFault:
    """Return the fault of a translation memory between other languages than configured."""
    message = (
        f"{path} is in {_listed(found)}, not in {languages[0]} and {languages[1]}: "
        "set data.source_language and data.target_language to its languages, or correct the file"
    )
    return DataFault("other_languages", str(path), line, message)


def _listed(names: Sequence[str]) -> str:
    shown = [name if len(name) <= WIDTH else f"{name[: WIDTH - 1]}…" for name in names[:SHOWN]]
    shown += ["…"] if len(names) > SHOWN else []
    return " | ".join(" ".join(name.split()) for name in shown) if shown else "none"
