"""Reads Parquet files with a column per language, or a ``translation`` column with both."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt.data.sources import fault_messages
from nmt.data.sources.columns import DOCUMENT_REMEDY, Columns
from nmt.data.sources.encodings import decode_with_marks
from nmt.data.sources.pair_source import FaultSink
from nmt.data.sources.records import Record
from nmt.errors import UserError
from nmt.file_names import no_file

BATCH = 1_000  # rows in memory at once
BATCH_BYTES = 1 << 26  # maximum bytes of one side of these rows
BUFFER = 1 << 20  # compressed bytes read at once
LARGEST_CHUNK, LARGEST_RATIO = 1 << 28, 100  # a chunk above both is refused: bytes, expansion


def read_parquet(path: Path, on_fault: FaultSink, columns: Columns) -> Iterator[Record]:
    """Yield the pairs of a Parquet file; unused columns are not read."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    row = 1
    try:
        file = ParquetFile(path, buffer_size=BUFFER)
        schema = file.schema_arrow
    except (OSError, pyarrow.ArrowException) as error:
        on_fault(fault_messages.unreadable(path, None, _explain(path, error)))
        return
    with file:
        paths = _choose(schema, path, on_fault, columns)
        if paths is None or _expands(file, path, on_fault):
            return
        document = _document(schema.names, path, on_fault, columns)
        if columns.document is not None and document is None:
            return
        batches = _batches(file, path, paths, document)
        while True:
            try:
                batch = next(batches, None)
            except (OSError, pyarrow.ArrowException) as error:
                on_fault(fault_messages.unreadable(path, row, _explain(path, error)))
                return
            if batch is None:
                return
            pairs = _pairs(batch, paths, path, row, on_fault)
            if document is None:
                yield from pairs
            else:
                documents = batch.column(document).to_pylist()
                for pair in pairs:
                    yield (*pair[:3], str(documents[pair[0] - row]))
            row += len(batch)


def _document(names: list[str], path: Path, on_fault: FaultSink, columns: Columns) -> str | None:
    """Return the name of the column of documents; None: there is none, or it is missing."""
    if columns.document is None:
        return None
    place = columns.find_document(names)
    if place is None:
        name = columns.document
        on_fault(fault_messages.missing_column(path, None, name, names, DOCUMENT_REMEDY))
        return None
    return names[place]


def _batches(
    file: Any, path: Path, paths: "tuple[ColumnPath, ColumnPath]", document: str | None
) -> Iterator[Any]:
    columns = sorted({".".join(names) for names in paths} | ({document} if document else set()))
    for group, rows in enumerate(_rows_at_once(file, path, paths)):
        yield from file.iter_batches(rows, row_groups=[group], columns=columns)


def _pairs(
    batch: Any, paths: "tuple[ColumnPath, ColumnPath]", path: Path, row: int, on_fault: FaultSink
) -> Iterator[Record]:
    sides = [_texts(batch, names, path, row, on_fault) for names in paths]
    for number, (source, target) in enumerate(zip(*sides, strict=True), start=row):
        if source is None or target is None:
            side = 0 if source is None else 1
            on_fault(fault_messages.not_text(path, number, paths[side][-1], None))
        else:
            yield number, source, target


def _rows_at_once(file: Any, path: Path, paths: "tuple[ColumnPath, ColumnPath]") -> list[int]:
    """Return for each row group the number of rows that take at most `BATCH_BYTES` per side.

    A dictionary lets a small file repeat a long text, so each row may be as long as the longest
    text. For nested columns, whose dictionary cannot be read, the size of the whole column chunk is
    used instead.
    """
    from pyarrow import compute
    from pyarrow.parquet import ParquetFile

    names = [".".join(names) for names in paths]
    rows = []
    with ParquetFile(path, read_dictionary=names, buffer_size=BUFFER) as dictionaries:
        for number in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(number)
            chunks = [group.column(i) for i in range(group.num_columns)]
            sizes = [c.total_uncompressed_size for c in chunks if c.path_in_schema in names]
            longest = max(sizes)
            if len(paths[0]) == 1 and longest > BATCH_BYTES // BATCH:
                first = dictionaries.iter_batches(1, row_groups=[number], columns=names)
                batch = next(first, None)
                texts = [] if batch is None else [column.dictionary for column in batch.columns]
                found = [compute.max(compute.binary_length(t)).as_py() or 0 for t in texts]
                longest = max([*found, longest // max(1, group.num_rows)])
            rows.append(int(min(BATCH, max(1, BATCH_BYTES // max(1, longest)))))
    return rows


def _expands(file: Any, path: Path, on_fault: FaultSink) -> bool:
    """Report a column chunk that expands too much to be text; return whether there is one."""
    for group in range(file.metadata.num_row_groups):
        for column in range(file.metadata.num_columns):
            chunk = file.metadata.row_group(group).column(column)
            size, packed = chunk.total_uncompressed_size, max(1, chunk.total_compressed_size)
            if size > LARGEST_CHUNK and size > LARGEST_RATIO * packed:
                reason = f"row group {group + 1} expands from {packed:,} to {size:,} bytes"
                on_fault(fault_messages.malformed(path, None, "a table of sentences", reason))
                return True
    return False


def _column(batch: Any, names: "ColumnPath") -> Any:
    from pyarrow import compute

    column = batch.column(names[0])
    return compute.struct_field(column, list(names[1:])) if len(names) > 1 else column


ColumnPath = tuple[str, ...]  # the name of a column, or of a struct column and its field


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
    """Return one side of a batch; report and replace bytes that are not UTF-8."""
    import pyarrow

    column = _column(batch, names)
    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        pass
    texts: list[str | None] = []
    for number, value in enumerate(column.cast(pyarrow.large_binary()).to_pylist(), start=row):
        try:
            texts.append(None if value is None else value.decode("utf-8"))
        except UnicodeDecodeError as error:
            on_fault(fault_messages.not_utf8(path, number, value[error.start]))
            texts.append(decode_with_marks(value))
    return texts


def _explain(path: Path, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(no_file(path))
    return UserError(f"cannot read {path}: {' '.join(str(error).split())}")
