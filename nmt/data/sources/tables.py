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
from nmt.data.sources.text_lines import numbered_lines

Row = tuple[int, list[str]]  # line, cells

AHEAD = 1000  # rows from which the number of columns of a table without header is derived


def read_tsv(path: Path, on_fault: FaultSink, columns: Columns) -> Iterator[Record]:
    """Yield the pairs of a tab-separated file: one record per line; quotes have no meaning.

    Empty lines are skipped.
    """
    rows = (
        (number, line.split("\t"))
        for number, line in numbered_lines(path, on_fault)
        if line and line != "\r"
    )
    return _pairs(rows, path, on_fault, columns, "tab")


def read_csv(path: Path, on_fault: FaultSink, columns: Columns) -> Iterator[Record]:
    """Yield the pairs of a comma-separated file; quoted fields may contain commas and line breaks.

    Empty lines are skipped. After a record with an unclosed quote no line is reliable, so reading
    ends there.
    """
    return _pairs(_csv_rows(path, on_fault), path, on_fault, columns, "comma")


def _csv_rows(path: Path, on_fault: FaultSink) -> Iterator[Row]:
    lines = (f"{line}\n" for _, line in numbered_lines(path, on_fault))
    reader = csv.reader(lines, strict=True)
    while True:
        first = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            on_fault(fault_messages.bad_quotes(path, first, reader.line_num, str(error)))
            if reader.line_num > first:
                return
            continue
        if cells is None:
            return
        if cells:
            yield first, cells


def _pairs(
    rows: Iterator[Row], path: Path, on_fault: FaultSink, columns: Columns, separator: str
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
            on_fault(fault_messages.wrong_width(path, line, len(cells), width, separator))


def _usual_width(rows: list[Row]) -> int:
    """Return the number of columns that most rows have."""
    widths = Counter(len(cells) for _, cells in rows)
    return widths.most_common(1)[0][0] if widths else 0
