"""Reads JSON lines: objects with a key per language, or with these in ``translation``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt.data.sources import fault_messages
from nmt.data.sources.columns import DOCUMENT_REMEDY, Columns
from nmt.data.sources.encodings import UNSET, Encoding
from nmt.data.sources.pair_source import DataFault, FaultSink
from nmt.data.sources.records import Record
from nmt.data.sources.text_lines import numbered_lines


def read_json_lines(
    path: Path, on_fault: FaultSink, columns: Columns, encoding: Encoding = UNSET
) -> Iterator[Record]:
    """Yield the pairs of a file of JSON lines; blank lines are skipped."""
    for number, line in numbered_lines(path, on_fault, encoding):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            on_fault(fault_messages.not_json(path, number, str(error)))
            continue
        found = _pair(row, columns, path, number)
        if isinstance(found, DataFault):
            on_fault(found)
        elif columns.document is None:
            yield number, *found
        elif (place := columns.find_document(keys := list(row))) is None:
            name = columns.document
            on_fault(fault_messages.missing_column(path, number, name, keys, DOCUMENT_REMEDY))
        else:
            yield number, *found, str(row[keys[place]])


def _pair(row: Any, columns: Columns, path: Path, number: int) -> tuple[str, str] | DataFault:
    if not isinstance(row, dict):
        return fault_messages.not_json(path, number, f"it contains a {type(row).__name__}")
    nested = not columns.given and isinstance(row.get("translation"), dict)
    values = row["translation"] if nested else row
    names = columns.names
    if not (names[0] in values and names[1] in values):
        keys = list(values)
        found = columns.find(keys)
        if None in found:
            if nested:
                return fault_messages.missing_translation(path, number, columns.languages, keys)
            missing = names[found.index(None)]
            return fault_messages.missing_column(path, number, missing, keys, columns.remedy)
        names = keys[found[0] or 0], keys[found[1] or 0]
    source, target = values[names[0]], values[names[1]]
    if isinstance(source, str) and isinstance(target, str):
        return source, target
    wrong = 0 if not isinstance(source, str) else 1
    return fault_messages.not_text(path, number, names[wrong], (source, target)[wrong])
