"""The faults of files with sentence pairs; each message is one line with a remedy."""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

from nmt.data.sources.encodings import UNSET, Encoding, likely_encoding
from nmt.data.sources.pair_source import DataFault, FaultKind
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


def not_utf8(
    path: Path, line: int, byte: int, text: bytes = b"", encoding: Encoding = UNSET
) -> DataFault:
    """Return the fault of a line that cannot be decoded; its message names a likely encoding."""
    if encoding.name is not None:
        message = (
            f"{path}, line {line:,} contains bytes that {encoding.name} does not have: set "
            f"{encoding.key}.encoding to the encoding of the file, or save the sheet as CSV UTF-8"
        )
        return DataFault("not_utf8", str(path), line, message, FaultKind.ROW)
    codec, words = likely_encoding(text or bytes([byte]))
    message = (
        f"{path} is not UTF-8: line {line} contains the byte 0x{byte:02x} and looks like {words}; "
        f"{encoding.remedy(codec)}"
    )
    return DataFault("not_utf8", str(path), line, message, FaultKind.ROW)


def wide(path: Path, codec: str, encoding: Encoding = UNSET) -> DataFault:
    """Return the fault of a UTF-16 file without byte-order mark."""
    message = f"{path} is not UTF-8 but looks like {codec.upper()}; {encoding.remedy(codec)}"
    return DataFault("utf16", str(path), None, message)


def read_as(path: Path, codec: str) -> DataFault:
    """Return the note that a file is read in the encoding that its byte-order mark names."""
    message = (
        f"{path} begins with the byte-order mark of {codec.upper()}, and is read as {codec.upper()}"
    )
    return DataFault("read_as", str(path), None, message, FaultKind.NOTE)


def read_with_quotes(path: Path, key: str | None) -> DataFault:
    """Return the note that quotation marks around cells are not read as text."""
    message = (
        f"the cells of {path} are quoted as spreadsheet programs write them; they are read without "
        f"these quotation marks; if they are part of the text, set {key or 'data.train'}.quotes="
        "literal"
    )
    return DataFault("read_with_quotes", str(path), None, message, FaultKind.NOTE)


def other_file(path: Path, what: str) -> DataFault:
    """Return the fault of a file that is not text, e.g. a workbook or a PDF."""
    message = f"{path} is {what}, not text: open it in its program and save it as CSV UTF-8"
    return DataFault("other_file", str(path), None, message)


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
    """Return the fault of a file that is empty or blank, or has a blank side."""
    return DataFault(
        "no_text", str(origin), None, f"{origin} contains no text{side and f' in {side}'}"
    )


def missing_column(
    origin: Origin, line: int | None, name: str, columns: Sequence[str], remedy: str
) -> DataFault:
    """Return the fault of a table or a record without a column; it lists the existing ones."""
    where = str(origin) if line is None else f"{origin}, row {line:,}"
    message = f"{where} has no column {name!r}; its columns are {_listed(columns)}: {remedy}"
    kind = FaultKind.FILE if line is None else FaultKind.ROW
    return DataFault("missing_column", str(origin), line, message, kind)


def missing_translation(
    origin: Origin, line: int | None, languages: tuple[str, str], keys: Sequence[str]
) -> DataFault:
    """Return the fault of a ``translation`` column without one of the languages."""
    where = str(origin) if line is None else f"{origin}, row {line:,}"
    message = (
        f"{where} has no pairs of {languages[0]} and {languages[1]}; its translation has "
        f"{_listed(keys)}: set data.source_language and data.target_language to two of them"
    )
    kind = FaultKind.FILE if line is None else FaultKind.ROW
    return DataFault("missing_column", str(origin), line, message, kind)


def wrong_width(
    path: Path, row: int, columns: tuple[int, int], separator: str, quotes_key: str | None = None
) -> DataFault:
    """Return the fault of a record with more or fewer columns than the others.

    Args:
        path: The file.
        row: Number of the record.
        columns: Its number of columns, and that of the others.
        separator: The name of the character between columns.
        quotes_key: Name of the settings of the file, if reading quoted cells may be the remedy.
    """
    count, expected = columns
    message = (
        f"{path}, row {row:,} has {_counted(count)}, but the other rows have {expected}: "
        f"look for a {'missing' if count < expected else 'superfluous'} {separator}"
        f"{f', or read quoted cells by {quotes_key}.quotes=cells' if quotes_key else ''}"
    )
    rule = "too_few_columns" if count < expected else "too_many_columns"
    return DataFault(rule, str(path), row, message, FaultKind.ROW)


def _counted(columns: int) -> str:
    return f"{columns} column{'' if columns == 1 else 's'}"


def bad_quotes(
    path: Path, row: int, lines: tuple[int, int], reason: str, key: str | None, *, only_row: bool
) -> DataFault:
    """Return the fault of a CSV record that cannot be parsed.

    Args:
        path: The file.
        row: Number of the record.
        lines: The first line of the record, and the line where parsing failed.
        reason: Why parsing failed.
        key: Name of the settings of the file; None: they cannot be set.
        only_row: Whether reading continues with the next line of the record.
    """
    first, last = lines
    if last > first and only_row:
        reason = f"its quote does not end by line {last:,}"
    elif last > first:
        reason = f"it does not end by line {last:,}, so the rows after it cannot be read"
    message = (
        f"{path}, row {row:,} is not a CSV record: {reason}; look for a quote that is not closed, "
        "or not doubled inside a field; if the quotation marks of the table are text: "
        f"{key or 'data.train'}.quotes=literal"
    )
    kind = FaultKind.ROW if only_row else FaultKind.FILE
    return DataFault("bad_quotes", str(path), row, message, kind)


def spreadsheet_error(path: str, row: int, cell: str) -> DataFault:
    """Return the fault of a cell with a formula error instead of a text."""
    message = (
        f"{path}, row {row:,} contains {cell.strip()}, the error of a formula, in place of a text: "
        "fix the formula in the sheet and export it again, or delete the row"
    )
    return DataFault("spreadsheet_error", path, row, message, FaultKind.ROW)


def too_many_faulty(
    name: str, faulty: int, rows: int, most: float, examples: Sequence[str]
) -> DataFault:
    """Return the fault of a source with more faulty records than ``data.max_faulty`` accepts."""
    message = (
        f"{faulty:,} of {rows:,} rows of {name} are faulty, more than data.max_faulty={most:g} "
        f"accepts: {'; '.join(examples)}; fix them, or leave them out by "
        f"data.max_faulty={math.ceil(100 * faulty / rows) / 100:g}"
    )
    return DataFault("too_many_faulty", name, None, message)


def not_json(path: Path, line: int, reason: str) -> DataFault:
    """Return the fault of a line that is not a JSON object."""
    message = (
        f"{path}, line {line:,} is not a JSON object: {reason}; "
        'every line must be one, e.g. {"en": "...", "de": "..."}'
    )
    return DataFault("not_json", str(path), line, message, FaultKind.ROW)


def not_text(origin: Origin, line: int, column: str, value: object) -> DataFault:
    """Return the fault of a record with a value that is not text, e.g. null or a number."""
    what = "null" if value is None else f"of type {type(value).__name__}"
    message = (
        f"{origin}, row {line:,} is not a pair of texts: its {column!r} is {what}; "
        "give it a text, or remove the row"
    )
    return DataFault("not_text", str(origin), line, message, FaultKind.ROW)


def forbidden(origin: Origin, line: int, text: str) -> DataFault:
    """Return the fault of a text with a NUL or a lone surrogate, which is not valid UTF-8 text."""
    found = re.search("[\0\ud800-\udfff]", text)
    code = f"U+{ord(found[0]):04X}" if found else "a character"
    message = f"{origin}, line {line:,} contains {code}, which is not allowed in text: remove it"
    return DataFault("forbidden_character", str(origin), line, message, FaultKind.ROW)


def malformed(path: Path, line: int | None, kind: str, reason: str) -> DataFault:
    """Return the fault of a file that does not have the expected format."""
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
