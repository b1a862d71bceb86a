"""Reads documents with a record per line: plain lines, tab-separated tables, and JSON lines."""

import json
import re
from collections.abc import Iterator

from nmt.data.sources.columns import is_number
from nmt.documents.document_options import DocumentOptions, LineBatches
from nmt.documents.segments import FLUSH, Form, Item, Segment, Text

DEFAULT_FIELD = "text"
_SHOWN = 8  # fields in a message
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class _LineForm(Form):
    by_sentences = False

    def encode(self, text: str) -> str:
        return text.replace("\n", " ")


class _CellForm(_LineForm):
    def encode(self, text: str) -> str:
        return text.replace("\n", " ").replace("\t", " ")


def read_lines(batches: LineBatches, options: DocumentOptions) -> Iterator[Item | None]:
    """Yield each line as a segment, and its line end."""
    number = 0
    for batch in batches:
        for line in batch:
            number += 1
            body, end = _without_end(line)
            yield Segment(number, (Text(body, body),), _LineForm())
            yield end
        yield FLUSH


def _without_end(line: str) -> tuple[str, str]:
    body = line.removesuffix("\n").removesuffix("\r")
    return body, line[len(body) :]


def read_table(batches: LineBatches, options: DocumentOptions) -> Iterator[Item | None]:
    """Yield the rows of a tab-separated table; the cell in one column is a segment.

    Raises:
        UserError: A row does not have the column.
    """
    number, columns = 0, None
    for batch in batches:
        for line in batch:
            number += 1
            body, end = _without_end(line)
            cells = body.split("\t")
            if columns is None:
                columns = _columns(cells, options)
                if options.header or not _by_number(options):
                    if columns[1] == len(cells):
                        cells.append(options.into if options.into else "")
                    yield "\t".join(cells) + end
                    continue
            if body.strip():
                yield from _row(cells, columns, number, options)
                yield end
            else:
                yield line
        yield FLUSH


def _by_number(options: DocumentOptions) -> bool:
    given = [name for name in (options.column, options.into) if name is not None]
    return all(is_number(name) for name in given)


def _columns(cells: list[str], options: DocumentOptions) -> tuple[int, int]:
    """Return the indices of the columns of text and translation, from 0, by the first line."""
    names = [cell.strip() for cell in cells]

    def index(name: str, *, new: bool) -> int:
        if is_number(name):
            if not 1 <= int(name) <= len(cells) + new:
                raise options.fault(1, _no_column(name, cells))
            return int(name) - 1
        if names.count(name) == 1:
            return names.index(name)
        if new and name not in names:
            return len(cells)
        shown = ", ".join(names[:_SHOWN])
        raise options.fault(
            1, f"has no column {name!r}, or several; give its number, or one of: {shown}"
        )

    column = index(options.column or "1", new=False)
    return column, column if options.into is None else index(options.into, new=True)


def _no_column(name: str, cells: list[str]) -> str:
    return (
        f"has {len(cells)} column{'s' * (len(cells) != 1)}, not column {name}; columns are "
        "separated by tabs: give another --column or --into, or fix the line"
    )


def _row(
    cells: list[str], columns: tuple[int, int], number: int, options: DocumentOptions
) -> Iterator[Item]:
    column, into = columns
    if column >= len(cells) or into > len(cells):
        raise options.fault(number, _no_column(str(max(column, into) + 1), cells))
    segment = Segment(number, (Text(cells[column], cells[column]),), _CellForm())
    if into == len(cells):
        yield "\t".join(cells) + "\t"
        yield segment
        return
    if into != column and cells[into].strip() and not options.retranslate:
        yield "\t".join(cells)
        return
    yield "".join(f"{cell}\t" for cell in cells[:into])
    yield segment
    yield "".join(f"\t{cell}" for cell in cells[into + 1 :])


class _JsonForm(_LineForm):
    """The content of a JSON string; it is escaped to ASCII if its line has ``\\u`` escapes."""

    def __init__(self, ascii_only: bool) -> None:
        self._ascii_only = ascii_only

    def encode(self, text: str) -> str:
        return json.dumps(text, ensure_ascii=self._ascii_only)[1:-1]


def read_json_line_documents(
    batches: LineBatches, options: DocumentOptions
) -> Iterator[Item | None]:
    """Yield the objects of JSON lines; the string in one field is a segment.

    Raises:
        UserError: A line is not a JSON object, or does not have the field.
    """
    number = 0
    for batch in batches:
        for line in batch:
            number += 1
            if line.strip():
                yield from _object(line, number, options)
            else:
                yield line
        yield FLUSH


def _object(line: str, number: int, options: DocumentOptions) -> Iterator[Item]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = str(error).partition(": line")[0]
        raise options.fault(number, f"is not JSON: {reason}; write one object per line") from None
    if not isinstance(row, dict):
        raise options.fault(number, "is not an object of JSON; write one object per line")
    column = options.column or DEFAULT_FIELD
    into = options.into or column
    spans = _string_spans(line, {column, into})
    if column not in spans:
        present = ", ".join(list(row)[:_SHOWN]) or "none"
        raise options.fault(
            number, f"has no field {column!r}; name one with --column; its fields are: {present}"
        )
    start, end = spans[column]
    if line[start] != '"':
        yield line
        return
    raw = line[start + 1 : end - 1]
    text = json.loads(line[start:end])
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise options.fault(number, "has half of a surrogate pair in its text; fix it")
    form = _JsonForm(ascii_only="\\u" in line)
    segment = Segment(number, (Text(raw, text),), form)
    if into in spans:
        there = spans[into]
        if (
            into != column
            and line[there[0] : there[1]] not in ('""', "null")
            and not options.retranslate
        ):
            yield line
            return
        yield f'{line[: there[0]]}"'
        yield segment
        yield f'"{line[there[1] :]}'
        return
    close = line.rindex("}")
    body = line[:close].rstrip()
    yield f'{body}, "{form.encode(into)}": "'
    yield segment
    yield f'"{line[len(body) :]}'


def _string_spans(line: str, wanted: set[str]) -> dict[str, tuple[int, int]]:
    """Return the ranges of the values of fields in a line.

    Dots in a name separate the levels of nested objects, or are part of the name. Values that are
    objects or lists are left out.
    """
    found: dict[str, tuple[int, int]] = {}
    path: list[str | None] = []  # None: inside a list
    key, is_value = "", False
    for token in _TOKEN.finditer(line):
        text = token[0]
        if text == "{":
            path.append(key)
            is_value = False
        elif text == "[":
            path.append(None)
        elif text in "}]":
            path.pop()
            is_value = False
        elif text == ":":
            is_value = True
        elif text == ",":
            is_value = False
        elif not is_value and None not in path:
            key = json.loads(text)
        elif None not in path:
            name = ".".join([*(part or "" for part in path[1:]), key])
            if name in wanted:
                found[name] = token.span()
    return found
