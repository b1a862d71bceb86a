"""Recognizes the separator of a table, and whether its cells are quoted, from its first lines."""

import csv
from collections import Counter
from collections.abc import Sequence
from itertools import chain, islice

from nmt.data.sources.columns import Columns
from nmt.data.sources.csv_records import Lines
from nmt.data.sources.pair_source import clean_text

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}

_AHEAD = 20_000  # maximum number of lines that are examined for quoted cells
_AHEAD_CHARACTERS = 1 << 22  # of these lines
_MOST_FAULTY = 0.02  # maximum share of faulty records in a table with quoted cells


def split_at_carriage_returns(lines: Lines) -> Lines:
    """Yield the lines of a table, which carriage returns may end (as on old Macintoshes)."""
    first = next(lines, None)
    if first is None:
        return
    head = first[1].rstrip("\r").partition("\r")
    if not head[1] or '"' in head[0]:
        yield first
        yield from lines
        return
    number = 0
    for _, text in chain([first], lines):
        for line in text.removesuffix("\r").split("\r"):
            number += 1
            yield number, line


def peek_separator(
    lines: Lines, columns: Columns, usual: str, *, quoted: bool
) -> tuple[str, Lines]:
    """Return the separator, and the lines without a first line ``sep=...``."""
    ahead = list(islice(lines, 1))
    if ahead and ahead[0][1].rstrip("\r") in {f"sep={mark}" for mark in SEPARATORS}:
        return ahead[0][1][4], lines
    if columns.positions is not None:
        ahead += islice(lines, 20)
    first = [line.rstrip("\r") for _, line in ahead]
    return _separator(first, columns, usual, quoted=quoted), chain(ahead, lines)


def _separator(first: list[str], columns: Columns, usual: str, *, quoted: bool) -> str:
    """Return the separator that gives the first lines the columns, or a plausible one."""
    marks = dict.fromkeys([usual, *SEPARATORS])
    if columns.positions is not None:
        least = max(columns.positions) + 1
        widths = {mark: _widths(first, mark, quoted) for mark in marks}
        good = [m for m in marks if widths[m] and widths[m].most_common(1)[0][0] >= least]
        return min(good, key=lambda m: len(widths[m]), default=usual)
    header = first[0] if first else ""
    for mark in marks:
        names = [clean_text(name) for name in _cells(header, mark, quoted)]
        if None not in columns.find(names):
            return mark
    counts = {mark: len(_cells(header, mark, quoted)) for mark in marks}
    return usual if counts[usual] > 1 else max(counts, key=lambda mark: counts[mark])


def _widths(lines: list[str], separator: str, quoted: bool) -> "Counter[int]":
    """Return the number of records of each width; a quoted cell may have several lines."""
    if not quoted:
        return Counter(len(line.split(separator)) for line in lines if line)
    records = csv.reader((f"{line}\n" for line in lines), delimiter=separator)
    try:
        return Counter(len(cells) for cells in records if cells)
    except csv.Error:
        return Counter()


def _cells(line: str, separator: str, quoted: bool) -> list[str]:
    if not quoted:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return line.split(separator)


def peek_quotes(lines: Lines, separator: str) -> tuple[bool, Lines]:
    """Return whether the cells of a table look quoted, and all lines.

    Read as CSV, at most 2 % of the records may be faulty, that is, have another width than the
    first. Read literally, more records must be faulty, or have cells as `is_quoted_cell`.
    """
    ahead: list[tuple[int, str]] = []
    characters = 0
    for line in islice(lines, _AHEAD):
        ahead.append(line)
        characters += len(line[1])
        if characters > _AHEAD_CHARACTERS:
            break
    texts = [line.rstrip("\r") for _, line in ahead if line.strip()]
    return _are_quoted(texts, separator), chain(ahead, lines)


def _are_quoted(texts: Sequence[str], separator: str) -> bool:
    if not any('"' in text for text in texts):
        return False
    width = len(_cells(texts[0], separator, True))
    literal = sum(
        len(cells := text.split(separator)) != width or any(map(is_quoted_cell, cells))
        for text in texts
    )
    if not literal:
        return False
    faulty = records = 0
    reader = csv.reader((f"{text}\n" for text in texts), strict=True, delimiter=separator)
    while True:
        try:
            faulty += len(next(reader)) != width
            records += 1
        except csv.Error:
            faulty += 1
        except StopIteration:
            break
    return faulty < literal and faulty <= _MOST_FAULTY * records


def is_quoted_cell(text: str) -> bool:
    """Return whether a text is in quotation marks, and has doubled ones inside."""
    text = text.strip()
    inner = text[1:-1]
    is_quoted = len(text) > 3 and text[0] == text[-1] == '"' and '""' in inner
    return is_quoted and '"' not in inner.replace('""', "")
