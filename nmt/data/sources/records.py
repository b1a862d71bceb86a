"""Files whose records are pairs: what is the same for every such format."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from nmt.data.sources import fault_messages
from nmt.data.sources.fingerprint import fingerprint_files
from nmt.data.sources.pair_source import DataFault, FaultSink, PairChunk, refuse
from nmt.data.sources.text_lines import has_text

Record = tuple[int, str, str]  # line, row or unit number; source; target

RecordReader = Callable[[Path, FaultSink], Iterator[Record]]
"""Yields the records of one file in order and hands those that are no pairs to the sink."""


@dataclass(frozen=True)
class FilePairs:
    """Files of one format that hold both sides.

    Attributes:
        paths: The files, read one after another.
        read: What takes one of them apart; a function of a module, so that processes can share it.
        reading: What decides how, in words, for the fingerprint.
    """

    paths: Sequence[Path]
    read: RecordReader
    reading: str

    @property
    def name(self) -> str:
        """The file, or the first one and how many more there are."""
        more = len(self.paths) - 1
        return f"{self.paths[0]} and {more} more" if more else str(self.paths[0])

    def fingerprint(self) -> str:
        """Return a hash of the files and of how they are read.

        Raises:
            UserError: A file cannot be read.
        """
        return fingerprint_files(self.reading, self.paths)

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Yield the pairs of every file, at most ``size`` a chunk."""
        for path in self.paths:
            sink = CountingSink(on_fault)
            yield from pack_records(self.read(path, sink), str(path), size, sink)


class CountingSink:
    """Hands faults on and counts them.

    Attributes:
        count: Faults so far.
    """

    def __init__(self, on_fault: FaultSink) -> None:
        """Hand faults to this sink."""
        self._on_fault = on_fault
        self.count = 0

    def __call__(self, fault: DataFault) -> None:
        """Take a fault."""
        self.count += 1
        self._on_fault(fault)


def pack_records(
    records: Iterable[Record], file: str, size: int, sink: CountingSink
) -> Iterator[PairChunk]:
    """Yield records in chunks, without those that hold what no text may hold.

    A side without any text is a fault, unless others were found that explain it.
    """
    sides_met = [False, False]
    records = iter(records)
    while pieces := list(islice(records, size)):
        lines, sources, targets = map(list, zip(*pieces, strict=True))
        chunk = PairChunk(file, file, lines, sources, targets)
        if not _is_sound(chunk):
            chunk = _sound_part(chunk, sink)
        for side, texts in enumerate((chunk.sources, chunk.targets)):
            sides_met[side] = sides_met[side] or has_text(texts)
        if chunk:
            yield chunk
    if not sink.count:
        blank = [n for n, met in zip(("source", "target"), sides_met, strict=True) if not met]
        if len(blank) == 2:
            sink(fault_messages.no_text(file))
        elif blank:
            sink(fault_messages.no_text(file, f"any {blank[0]} sentence"))


def _is_sound(chunk: PairChunk) -> bool:
    """Return whether no text holds a NUL or half a surrogate pair: joined, for speed."""
    text = "\n".join(("\n".join(chunk.sources), "\n".join(chunk.targets)))
    return "\0" not in text and _is_unicode(text)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _sound_part(chunk: PairChunk, on_fault: FaultSink) -> PairChunk:
    kept: list[Record] = []
    for line, source, target in zip(chunk.lines, chunk.sources, chunk.targets, strict=True):
        both = f"{source}\n{target}"
        if "\0" not in both and _is_unicode(both):
            kept.append((line, source, target))
        else:
            on_fault(fault_messages.forbidden(chunk.source_file, line, both))
    lines, sources, targets = ([record[i] for record in kept] for i in range(3))
    return PairChunk(chunk.source_file, chunk.target_file, lines, sources, targets)  # type: ignore[arg-type]
