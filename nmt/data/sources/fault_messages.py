"""The faults that files of sentence pairs may have, each in one line that says how to mend it."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from nmt.data.sources.pair_source import DataFault
from nmt.errors import UserError

Place = Path | str  # a file, or what else is read, in words

SHOWN = 8  # columns named in a message at most
WIDTH = 40  # characters of each


def unreadable(path: Path, line: int | None, error: UserError) -> DataFault:
    """Return the fault of a file that is missing, damaged or cut off; it ends there."""
    rule = "unreadable" if os.path.exists(path) else "missing_file"
    place = f", after line {line - 1:,}" if line is not None and line > 1 else ""
    return DataFault(rule, str(path), line, f"{error}{place}")


def not_utf8(path: Path, line: int, byte: int) -> DataFault:
    """Return the fault of a line that cannot be decoded."""
    return DataFault(
        "not_utf8",
        str(path),
        line,
        f"{path} is not UTF-8: line {line} holds the byte 0x{byte:02x}; "
        "convert it, for example with: iconv -f LATIN1 -t UTF-8",
    )


def wide(path: Path, encoding: str) -> DataFault:
    """Return the fault of a file in an encoding of two or four bytes a character."""
    return DataFault(
        "utf16",
        str(path),
        None,
        f"{path} is not UTF-8 but looks like {encoding}; "
        f"convert it, for example with: iconv -f {encoding} -t UTF-8",
    )


def long_line(path: Path, line: int, limit: int) -> DataFault:
    """Return the fault of a line without end; the file ends there."""
    return DataFault(
        "long_line",
        str(path),
        line,
        f"{path}, line {line:,} does not end within {limit >> 20} MiB: "
        "it is no text of one sentence a line",
    )


def unequal_lines(source: Path, target: Path, lines: tuple[int, int]) -> DataFault:
    """Return the fault of two files that cannot belong together line by line."""
    return DataFault(
        "unequal_lines",
        str(target if lines[1] < lines[0] else source),
        min(lines) + 1,
        f"{source} has {lines[0]:,} lines but {target} has {lines[1]:,}; "
        "line i of both must be a pair: find the line that is missing or doubled; nmt data check "
        "looks where",
    )


def no_text(place: Place, side: str = "") -> DataFault:
    """Return the fault of a file that is empty, or blank throughout (on a side)."""
    return DataFault("no_text", str(place), None, f"{place} holds no text{side and f' in {side}'}")


def missing_column(
    place: Place, line: int | None, name: str, columns: Sequence[str], remedy: str
) -> DataFault:
    """Return the fault of a table, or a record, that lacks a column; names those it has."""
    where = str(place) if line is None else f"{place}, row {line:,}"
    message = f"{where} has no column {name!r}; its columns are {_listed(columns)}: {remedy}"
    return DataFault("missing_column", str(place), line, message)


def missing_translation(
    place: Place, line: int | None, languages: tuple[str, str], keys: Sequence[str]
) -> DataFault:
    """Return the fault of a ``translation`` column that lacks a language."""
    where = str(place) if line is None else f"{place}, row {line:,}"
    message = (
        f"{where} has no pairs of {languages[0]} and {languages[1]}; its translation holds "
        f"{_listed(keys)}: set data.source_language and data.target_language to two of them"
    )
    return DataFault("missing_column", str(place), line, message)


def wrong_width(path: Path, line: int, columns: int, expected: int, separator: str) -> DataFault:
    """Return the fault of a record with more or fewer columns than the others."""
    message = (
        f"{path}, line {line:,} has {_counted(columns)}, not {expected} as the others: "
        f"look for a {separator} too {'few' if columns < expected else 'many'}"
    )
    rule = "too_few_columns" if columns < expected else "too_many_columns"
    return DataFault(rule, str(path), line, message)


def _counted(columns: int) -> str:
    return f"{columns} column{'' if columns == 1 else 's'}"


def bad_quotes(path: Path, first: int, last: int, reason: str) -> DataFault:
    """Return the fault of a CSV record that cannot be taken apart."""
    if last > first:
        reason = f"it does not end by line {last:,}, and no later line can be trusted"
    message = (
        f"{path}, line {first:,} is no CSV record: {reason}; look for a quote that is not closed, "
        "or not doubled inside a field"
    )
    return DataFault("bad_quotes", str(path), first, message)


def not_json(path: Path, line: int, reason: str) -> DataFault:
    """Return the fault of a line that holds no JSON object."""
    message = (
        f"{path}, line {line:,} is no JSON object: {reason}; "
        'every line must be one, as {"en": "...", "de": "..."}'
    )
    return DataFault("not_json", str(path), line, message)


def not_text(place: Place, line: int, column: str, value: object) -> DataFault:
    """Return the fault of a record whose value is null, a number or anything but text."""
    kind = "null" if value is None else f"of type {type(value).__name__}"
    message = (
        f"{place}, row {line:,} is not a pair of texts: its {column!r} is {kind}; "
        "give it a text, or leave the row out"
    )
    return DataFault("not_text", str(place), line, message)


def forbidden(place: Place, line: int, text: str) -> DataFault:
    """Return the fault of a text with a NUL or half a surrogate pair, which no UTF-8 text has."""
    found = re.search("[\0\ud800-\udfff]", text)
    code = f"U+{ord(found[0]):04X}" if found else "a character"
    message = f"{place}, line {line:,} holds {code}, which no text may hold: remove it"
    return DataFault("forbidden_character", str(place), line, message)


def malformed(path: Path, line: int | None, kind: str, reason: str) -> DataFault:
    """Return the fault of a file that is not of the format it was taken for."""
    where = str(path) if line is None else f"{path}, line {line:,}"
    message = f"{where} is not {kind}: {' '.join(reason.split())}; mend or export it again"
    return DataFault("malformed", str(path), line, message)


def entities(path: Path) -> DataFault:
    """Return the fault of an XML file that declares entities, which could reach anywhere."""
    message = (
        f"{path} declares XML entities of its own, which are not read, for safety: "
        "write them out, for example with: xmllint --noent --dropdtd"
    )
    return DataFault("xml_entities", str(path), None, message)


def other_languages(
    path: Path, line: int | None, found: Sequence[str], languages: tuple[str, str]
) -> DataFault:
    """Return the fault of a translation memory between other languages than those asked for."""
    message = (
        f"{path} is in {_listed(found)}, not in {languages[0]} and {languages[1]}: "
        "set data.source_language and data.target_language to its languages, or correct them there"
    )
    return DataFault("other_languages", str(path), line, message)


def _listed(names: Sequence[str]) -> str:
    shown = [name if len(name) <= WIDTH else f"{name[: WIDTH - 1]}…" for name in names[:SHOWN]]
    shown += ["…"] if len(names) > SHOWN else []
    return " | ".join(" ".join(name.split()) for name in shown) if shown else "none"
