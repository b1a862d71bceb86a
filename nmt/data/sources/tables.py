"""Reads tables of pairs: CSV, with quoted cells, and TSV, usually without."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from nmt.config.source_settings import Quotes
from nmt.data.sources import fault_messages
from nmt.data.sources.columns import DOCUMENT_REMEDY, Columns
from nmt.data.sources.csv_records import Lines, Row, csv_rows
from nmt.data.sources.encodings import UNSET, Encoding
from nmt.data.sources.pair_source import FaultSink, clean_text
from nmt.data.sources.records import Record
from nmt.data.sources.table_shape import (
    SEPARATORS,
    peek_quotes,
    peek_separator,
    split_at_carriage_returns,
)
from nmt.data.sources.text_lines import numbered_lines

AHEAD = 1000  # rows that show the number of columns of a table without header


def read_tsv(
    path: Path,
    on_fault: FaultSink,
    columns: Columns,
    encoding: Encoding = UNSET,
    quotes: str | None = None,
) -> Iterator[Record]:
    """Yield the pairs of a tab-separated file: one record per line; quotes have no meaning.

    If ``quotes`` is `Quotes.CELLS`, or None and the cells look quoted, the file is read as CSV.
    Empty lines are skipped. If another separator gives the columns, it is used.
    """
    lines = split_at_carriage_returns(numbered_lines(path, on_fault, encoding))
    separator, lines = peek_separator(lines, columns, "\t", quoted=quotes == Quotes.CELLS)
    quoted = quotes == Quotes.CELLS
    if quotes is None:
        quoted, lines = peek_quotes(lines, separator)
        if quoted:
            on_fault(fault_messages.read_with_quotes(path, encoding.key))
    return _rows(lines, path, on_fault, columns, separator, quoted=quoted)


def read_csv(
    path: Path,
    on_fault: FaultSink,
    columns: Columns,
    encoding: Encoding = UNSET,
    quotes: str | None = None,
) -> Iterator[Record]:
    """Yield the pairs of a CSV file; quoted fields may contain separators and line breaks.

    The header shows whether commas, semicolons, tabs or vertical bars separate the fields. A first
    line ``sep=;``, as Excel writes it, sets the separator and is skipped. Empty lines are skipped.
    A record with an unclosed quote is reported, and reading continues with its second line. If
    ``quotes`` is `Quotes.LITERAL`, each line is a record, and its quotes are text.
    """
    quoted = quotes != Quotes.LITERAL
    lines = split_at_carriage_returns(numbered_lines(path, on_fault, encoding))
    separator, lines = peek_separator(lines, columns, ",", quoted=quoted)
    return _rows(lines, path, on_fault, columns, separator, quoted=quoted)


def _rows(
    lines: Lines,
    path: Path,
    on_fault: FaultSink,
    columns: Columns,
    separator: str,
    *,
    quoted: bool,
) -> Iterator[Record]:
    if quoted:
        rows = csv_rows(lines, path, on_fault, separator, columns.key)
    else:
        rows = ((number, line.split(separator)) for number, line in _without_blank(lines))
    return _pairs(rows, path, on_fault, columns, SEPARATORS[separator], quoting=quoted)


def _without_blank(lines: Lines) -> Lines:
    return ((number, line) for number, line in lines if line and line != "\r")


def _pairs(
    rows: Iterator[Row],
    path: Path,
    on_fault: FaultSink,
    columns: Columns,
    separator: str,
    *,
    quoting: bool,
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
    document = None if columns.document is None else columns.find_document(names)
    if columns.document is not None and document is None:
        name = columns.document
        on_fault(fault_messages.missing_column(path, None, name, names, DOCUMENT_REMEDY))
        return
    width, named = len(names), _width(names)
    for row, cells in rows:
        if named <= len(cells) <= width or len(cells) > width >= _width(cells) > 0:
            pair = row, cells[source], cells[target]
            yield pair if document is None else (*pair, cells[document])
        elif _width(cells):  # a row without any text is skipped, like an empty line
            quoted = not quoting and any(cell.startswith('"') for cell in cells)
            key = (columns.key or "data.train") if quoted else None
            counts = len(cells), width
            on_fault(fault_messages.wrong_width(path, row, counts, separator, key))


def _width(cells: Sequence[str]) -> int:
    """Return the number of cells without the blank ones at the end."""
    return next((n for n in range(len(cells), 0, -1) if cells[n - 1].strip()), 0)


def _usual_width(rows: list[Row]) -> int:
    """Return the number of columns that most rows have."""
    widths = Counter(len(cells) for _, cells in rows)
    return widths.most_common(1)[0][0] if widths else 0
