"""The common part of all formats whose records contain both sides."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.data.sources import fault_messages
from nmt.data.sources.fingerprint import fingerprint_files
from nmt.data.sources.pair_source import DataFault, FaultKind, FaultSink, PairChunk, refuse
from nmt.data.sources.text_lines import has_text

Record = tuple[int, str, str] | tuple[int, str, str, str]
"""Line, row or unit number; source; target; the name of the document, if it is needed."""

SIDES = ("source", "target")

CHUNK_CHARACTERS = 1 << 24  # of both sides; a chunk ends when it has as many

RecordReader = Callable[[Path, FaultSink], Iterator[Record]]
"""Yields the records of a file in order; the sink receives the records that are not pairs."""


@dataclass(frozen=True)
class FilePairs:
    """Files of one format with both sides.

    Attributes:
        paths: The files, read one after another.
        read: Parses one file; a module-level function, so that it can be pickled.
        reading: Describes how the files are read, for the fingerprint.
    """

    paths: Sequence[Path]
    read: RecordReader
    reading: str

    @property
    def name(self) -> str:
        """The file, or the first file and the number of others."""
        more = len(self.paths) - 1
        return f"{self.paths[0]} and {more} more" if more else str(self.paths[0])

    def fingerprint(self) -> str:
        """Return a hash of the files and of how they are read.

        Raises:
            UserError: A file cannot be read.
        """
        return fingerprint_files(self.reading, self.paths)

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Yield the pairs of every file, at most ``size`` per chunk."""
        for path in self.paths:
            sink = CountingSink(on_fault)
            yield from pack_records(self.read(path, sink), str(path), size, sink)


class CountingSink:
    """Passes faults on and counts them.

    Attributes:
        count: Number of faults so far.
    """

    def __init__(self, on_fault: FaultSink) -> None:
        """Pass faults to this sink."""
        self._on_fault = on_fault
        self.count = 0

    def __call__(self, fault: DataFault) -> None:
        """Count a fault and pass it on; notes are not counted."""
        self.count += fault.kind != FaultKind.NOTE
        self._on_fault(fault)


def pack_records(
    records: Iterable[Record], file: str, size: int, sink: CountingSink
) -> Iterator[PairChunk]:
    """Yield records in chunks, without those that contain forbidden characters.

    A side without any text is a fault, unless another fault was reported.
    """
    sides_with_text = [False, False]
    records = iter(records)
    while part := _next_part(records, size):
        lines, sources, targets, *names = map(list, zip(*part, strict=True))
        documents = names[0] if names else None
        chunk = PairChunk(file, file, lines, sources, targets, document_names=documents)
        if not _is_valid(chunk):
            chunk = _valid_part(chunk, sink)
        for side, texts in enumerate((chunk.sources, chunk.targets)):
            sides_with_text[side] = sides_with_text[side] or has_text(texts)
        if chunk:
            yield chunk
    if not sink.count:
        blank = [n for n, found in zip(SIDES, sides_with_text, strict=True) if not found]
        if len(blank) == 2:
            sink(fault_messages.no_text(file))
        elif blank:
            sink(fault_messages.no_text(file, f"any {blank[0]} sentence"))


def _next_part(records: Iterator[Record], size: int) -> list[Record]:
    """Return at most ``size`` records, or fewer if their texts are long."""
    part: list[Record] = []
    characters = 0
    for record in records:
        part.append(record)
        characters += len(record[1]) + len(record[2])
        if len(part) >= size or characters >= CHUNK_CHARACTERS:
            break
    return part


def _is_valid(chunk: PairChunk) -> bool:
    """Return whether no text contains a NUL or a lone surrogate; texts are joined for speed."""
    text = "\n".join(("\n".join(chunk.sources), "\n".join(chunk.targets)))
    return "\0" not in text and _is_unicode(text)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _valid_part(chunk: PairChunk, on_fault: FaultSink) -> PairChunk:
    kept = []
    both_sides = zip(chunk.sources, chunk.targets, strict=True)
    for index, (source, target) in enumerate(both_sides):
        both = f"{source}\n{target}"
        if "\0" not in both and _is_unicode(both):
            kept.append(index)
        else:
            on_fault(fault_messages.forbidden(chunk.source_file, chunk.lines[index], both))
    return chunk.chosen(kept)
