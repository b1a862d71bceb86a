"""Tables of pairs: TSV, without quoting, and CSV, with quoting."""

import csv
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from nmt.data.sources import fault_messages
from nmt.data.sources.columns import Columns
from nmt.data.sources.pair_source import FaultSink, clean_text
from nmt.data.sources.records import Record
from nmt.data.sources.text_lines import LONGEST, numbered_lines

Row = tuple[int, list[str]]  # line, cells

AHEAD = 1000  # rows from which the number of columns of a table without header is derived
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}


def read_tsv(path: Path, on_fault: FaultSink, columns: Columns) -> Iterator[Record]:
    """Yield the pairs of a tab-separated file: one record per line; quotes have no meaning.

    Empty lines are skipped. If the header has no tab but another separator, that one is used.
    """
    lines = _without_blank(numbered_lines(path, on_fault))
    separator, lines = _peek(lines, columns, "\t", quoted=False)
    rows = ((number, line.split(separator)) for number, line in lines)
    return _pairs(rows, path, on_fault, columns, SEPARATORS[separator], quoting=False)


def read_csv(path: Path, on_fault: FaultSink, columns: Columns) -> Iterator[Record]:
    """Yield the pairs of a CSV file; quoted fields may contain separators and line breaks.

    The header shows whether commas, semicolons, tabs or vertical bars separate the fields. A first
    line ``sep=;``, as Excel writes it, is skipped. Empty lines are skipped. After a record with an
    unclosed quote no line is reliable, so reading ends there.
    """
    lines = numbered_lines(path, on_fault)
    separator, lines = _peek(lines, columns, ",", quoted=True)
    rows = _csv_rows(lines, path, on_fault, separator)
    return _pairs(rows, path, on_fault, columns, SEPARATORS[separator])


Lines = Iterator[tuple[int, str]]


def _without_blank(lines: Lines) -> Lines:
    return ((number, line) for number, line in lines if line and line != "\r")


def _peek(lines: Lines, columns: Columns, usual: str, *, quoted: bool) -> tuple[str, Lines]:
    """Return the separator, and all lines without one that only names it."""
    ahead = list(islice(lines, 1))
    if ahead and ahead[0][1].rstrip("\r") in {f"sep={mark}" for mark in SEPARATORS}:
        return ahead[0][1][4], lines
    if columns.positions is not None:
        ahead += islice(lines, 20)
    first = [line for _, line in ahead]
    return _separator(first, columns, usual, quoted=quoted), chain(ahead, lines)


def _separator(first: list[str], columns: Columns, usual: str, *, quoted: bool) -> str:
    """Return the separator by which the first lines have the columns, else the usual one."""
    marks = dict.fromkeys([usual, *SEPARATORS])
    if columns.positions is not None:
        least = max(columns.positions) + 1
        widths = {m: [len(_cells(line, m, quoted)) for line in first if line] for m in marks}
        good = [m for m in marks if widths[m] and min(widths[m]) >= least]
        same = [m for m in good if len(set(widths[m])) == 1]
        return next(iter(same or good), usual)
    header = first[0] if first else ""
    for mark in marks:
        names = [clean_text(name) for name in _cells(header, mark, quoted)]
        if None not in columns.find(names):
            return mark
    counts = {mark: len(_cells(header, mark, quoted)) for mark in marks}
    return usual if counts[usual] > 1 else max(counts, key=lambda mark: counts[mark])


def _cells(line: str, separator: str, quoted: bool) -> list[str]:
    if not quoted:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return line.split(separator)


class _RecordTooLongError(Exception):
    pass


class _RecordLines:
    """The lines of a CSV file; those of one record are limited in size.

    Attributes:
        number: Number of the last line.
        size: Characters since it was set to 0.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.number = self.size = 0

    def __iter__(self) -> Iterator[str]:
        for number, line in self._lines:
            self.number = number
            self.size += len(line) + 1
            if self.size > LONGEST:
                raise _RecordTooLongError
            yield f"{line}\n"


def _csv_rows(lines: Lines, path: Path, on_fault: FaultSink, separator: str) -> Iterator[Row]:
    csv.field_size_limit(LONGEST)
    source = _RecordLines(lines)
    reader = csv.reader(source, strict=True, delimiter=separator)
    while True:
        before, source.size = source.number, 0
        try:
            cells = next(reader, None)
        except _RecordTooLongError:
            on_fault(fault_messages.long_line(path, before + 1, LONGEST))
            return
        except csv.Error as error:
            first = before + 1
            on_fault(fault_messages.bad_quotes(path, first, source.number, str(error)))
            if source.number > first:
                return
            continue
        if cells is None:
            return
        if cells:
            yield before + 1, cells


def _pairs(
    rows: Iterator[Row],
    path: Path,
    on_fault: FaultSink,
    columns: Columns,
    separator: str,
    *,
    quoting: bool = True,
) -> Iterator[Record]:
    """Select two columns; the first row is the header, unless columns are given as numbers."""
    if columns.positions is None:
        ahead = list(islice(rows, 1))
        names = [clean_text(name) for name in ahead[0][1]] if ahead else []
    else:
        ahead = list(islice(rows, AHEAD))
        names = [str(number) for number in range(1, _usual_width(ahead) + 1)]
        rows = chain(ahead, rows)
    if not ahead:
        return
    source, target = columns.find(names)
    if source is None or target is None:
        missing = columns.names[0 if source is None else 1]
        on_fault(
            fault_messages.missing_column(path, None, missing, names, columns.remedy_by_number)
        )
        return
    width = len(names)
    for line, cells in rows:
        if len(cells) == width:
            yield line, cells[source], cells[target]
        else:
            quoted = not quoting and any(cell.startswith('"') for cell in cells)
            fault = fault_messages.wrong_width(
                path, line, len(cells), width, separator, quoted=quoted
            )
            on_fault(fault)


def _usual_width(rows: list[Row]) -> int:
    """Return the number of columns that most rows have."""
    widths = Counter(len(cells) for _, cells in rows)
    return widths.most_common(1)[0][0] if widths else 0
