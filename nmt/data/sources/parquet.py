"""Parquet files with one column per language, or a ``translation`` column with both."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt.data.sources import fault_messages
from nmt.data.sources.columns import Columns
from nmt.data.sources.pair_source import FaultSink
from nmt.data.sources.records import Record
from nmt.errors import UserError

BATCH = 20_000  # rows in memory at once


def read_parquet(path: Path, on_fault: FaultSink, columns: Columns) -> Iterator[Record]:
    """Yield the pairs of a Parquet file; other columns are not read."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    row = 1
    try:
        file = ParquetFile(path)
        schema = file.schema_arrow
    except (OSError, pyarrow.ArrowException) as error:
        on_fault(fault_messages.unreadable(path, None, _explain(path, error)))
        return
    with file:
        paths = _choose(schema, path, on_fault, columns)
        if paths is None:
            return
        batches = file.iter_batches(BATCH, columns=sorted({".".join(names) for names in paths}))
        while True:
            try:
                batch = next(batches, None)
            except (OSError, pyarrow.ArrowException) as error:
                on_fault(fault_messages.unreadable(path, row, _explain(path, error)))
                return
            if batch is None:
                return
            sides = [_texts(batch, names, path, row, on_fault) for names in paths]
            for number, (source, target) in enumerate(zip(*sides, strict=True), start=row):
                if source is None or target is None:
                    side = 0 if source is None else 1
                    on_fault(fault_messages.not_text(path, number, paths[side][-1], None))
                else:
                    yield number, source, target
            row += len(batch)


ColumnPath = tuple[str, ...]  # a column, or one within another


def _choose(
    schema: Any, path: Path, on_fault: FaultSink, columns: Columns
) -> tuple[ColumnPath, ColumnPath] | None:
    """Return the columns of both sides, or None after reporting why they cannot be read."""
    import pyarrow

    nested = not columns.given and "translation" in schema.names
    nested = nested and pyarrow.types.is_struct(schema.field("translation").type)
    fields = schema.field("translation").type if nested else schema
    names = [field.name for field in fields]
    found = columns.find(names)
    for at, name in zip(found, columns.names, strict=True):
        if at is None and nested:
            on_fault(fault_messages.missing_translation(path, None, columns.languages, names))
            return None
        if at is None:
            on_fault(fault_messages.missing_column(path, None, name, names, columns.remedy))
            return None
        arrow_type = fields[at].type if nested else fields.field(at).type
        if not _is_text(arrow_type):
            message = f"its column {names[at]!r} contains {arrow_type}, not text"
            on_fault(fault_messages.malformed(path, None, "a table of sentences", message))
            return None
    source, target = (names[at] for at in found if at is not None)
    return (("translation", source), ("translation", target)) if nested else ((source,), (target,))


def _is_text(arrow_type: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(arrow_type):
        arrow_type = arrow_type.value_type
    return any(
        is_type(arrow_type)
        for is_type in (types.is_string, types.is_large_string, types.is_string_view)
    )


def _texts(
    batch: Any, names: ColumnPath, path: Path, row: int, on_fault: FaultSink
) -> list[str | None]:
    """Return one side of a batch; bytes that are not UTF-8 are reported and replaced."""
    import pyarrow
    from pyarrow import compute

    column = batch.column(names[0])
    if len(names) > 1:
        column = compute.struct_field(column, list(names[1:]))
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        pass
    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    texts: list[str | None] = []
    for number, value in enumerate(column.cast(pyarrow.large_binary()).to_pylist(), start=row):
        try:
            texts.append(None if value is None else value.decode("utf-8"))
        except UnicodeDecodeError as error:
            on_fault(fault_messages.not_utf8(path, number, value[error.start]))
            texts.append(value.decode("utf-8", errors="replace"))
    return texts


def _explain(path: Path, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"there is no file {path}")
    return UserError(f"cannot read {path}: {' '.join(str(error).split())}")
