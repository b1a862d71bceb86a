"""Reads the records of a CSV file. An unclosed quote makes only its own row faulty."""

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from nmt.data.sources import fault_messages
from nmt.data.sources.pair_source import FaultSink
from nmt.data.sources.text_lines import LONGEST

Lines = Iterator[tuple[int, str]]  # line number, text
Row = tuple[int, list[str]]  # row number, cells

_KEPT_LINES = 100_000  # a record with more lines is not read again
_SPARE = 1 << 26  # characters that may be read again in a file of any size
_LEAST_INSIDE = 3  # lines between the first and the last of a record that may be joined rows
_ROWS_INSIDE = 0.8  # share of these lines that must look like rows


class _RecordTooLongError(Exception):
    pass


class _RecordLines:
    """The lines of a CSV file. Those of one record are limited in size, and can be read again.

    Attributes:
        number: Number of the last line.
        record: The first 100,000 lines of the current record.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._again: deque[tuple[int, str]] = deque()
        self._spare = _SPARE  # grows with the file, so that time is linear in its size
        self._size = self._count = 0
        self.number = 0
        self.record: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._again:
            self.number, line = self._again.popleft()
        else:
            self.number, line = next(self._lines)
            self._spare += len(line)
        self._size += len(line) + 1
        self._count += 1
        if self._size > LONGEST:
            raise _RecordTooLongError
        if self._count <= _KEPT_LINES:
            self.record.append((self.number, line))
        return f"{line}\n"

    def begin(self) -> None:
        """Begin the next record."""
        self.record = []
        self._size = self._count = 0

    def reread_from_second_line(self) -> bool:
        """Read the record again from its second line, if possible; return whether it is."""
        if self._count > _KEPT_LINES or self._size > self._spare:
            return False
        self._spare -= self._size
        self._again.extendleft(self.record[:0:-1])
        return True


def csv_rows(
    lines: Lines, path: Path, on_fault: FaultSink, separator: str, key: str | None = None
) -> Iterator[Row]:
    """Yield the records with row numbers as in a spreadsheet, where blank lines count.

    A record that cannot be parsed is reported. Reading continues with its second line, or ends if
    the record is too long to be read again.
    """
    csv.field_size_limit(LONGEST)
    source = _RecordLines(lines)
    reader = csv.reader(source, strict=True, delimiter=separator)
    row = width = 0
    while True:
        source.begin()
        row += 1
        try:
            cells = next(reader, None)
            reason = "" if cells is None or not _swallowed_rows(source, width, separator) else "?"
        except _RecordTooLongError:
            on_fault(fault_messages.long_line(path, source.record[0][0], LONGEST))
            return
        except csv.Error as error:
            cells, reason = [], str(error)
        if cells is None:
            return
        if reason:
            ends = source.record[0][0], source.number
            intact = ends[0] == ends[1] or source.reread_from_second_line()
            on_fault(fault_messages.bad_quotes(path, row, ends, reason, key, only_row=intact))
            if not intact:
                return
        elif cells:
            width = width or len(cells)
            yield row, cells


def _swallowed_rows(source: _RecordLines, width: int, separator: str) -> bool:
    """Return whether the lines of a record are rows that an unclosed quote has joined."""
    inside = source.record[1:-1]
    if width < 2 or len(inside) < _LEAST_INSIDE:
        return False
    like_rows = sum(line.count(separator) == width - 1 for _, line in inside)
    return like_rows >= _ROWS_INSIDE * len(inside)
