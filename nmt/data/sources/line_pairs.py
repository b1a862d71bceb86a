"""Reads two text files: line i of both files is a pair."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.data.sources import fault_messages
from nmt.data.sources.encodings import UNSET, Encoding
from nmt.data.sources.fingerprint import fingerprint_files
from nmt.data.sources.pair_source import (
    DataFault,
    FaultKind,
    FaultSink,
    PairChunk,
    refuse,
)
from nmt.data.sources.records import CHUNK_CHARACTERS
from nmt.data.sources.text_lines import has_text, line_batches


@dataclass(frozen=True)
class LinePairs:
    """Two text files, or shards of them: source file i belongs to target file i.

    Attributes:
        sources: The files of the source side, in order.
        targets: The files of the target side, in the same order.
        encoding: The encoding of the files.
    """

    sources: Sequence[Path]
    targets: Sequence[Path]
    encoding: Encoding = UNSET

    def __post_init__(self) -> None:
        assert len(self.sources) == len(self.targets) > 0

    @property
    def name(self) -> str:
        """The two files, or the first two shards and the number of others."""
        more = len(self.sources) - 1
        both = f"{self.sources[0]} and {self.targets[0]}"
        return f"{both} and {more} more of each" if more else both

    def fingerprint(self) -> str:
        """Return a hash of the files of both sides.

        Raises:
            UserError: A file cannot be read.
        """
        reading = f"lines {self.encoding.name}" if self.encoding.name else "lines"
        return fingerprint_files(reading, [*self.sources, *self.targets])

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Yield line i of both files together, at most ``size`` pairs per chunk.

        If one file has more lines, this is reported after the last pair.
        """
        for source, target in zip(self.sources, self.targets, strict=True):
            yield from _pairs(source, target, size, on_fault, self.encoding)


def _pairs(
    source: Path, target: Path, size: int, on_fault: FaultSink, encoding: Encoding
) -> Iterator[PairChunk]:
    readers = LineReader(source, on_fault, encoding), LineReader(target, on_fault, encoding)
    done = 0
    while pairs := min(reader.fill(size) for reader in readers):
        sources, targets = (reader.take(pairs) for reader in readers)
        numbers = list(range(done + 1, done + pairs + 1))
        yield PairChunk(str(source), str(target), numbers, sources, targets)
        done += pairs
    for reader in readers:
        reader.drain()
    if any(reader.broken for reader in readers):
        return
    blank = [reader.path for reader in readers if not reader.has_text]
    for path in blank:
        on_fault(fault_messages.no_text(path))
    counts = readers[0].taken, readers[1].taken
    if counts[0] != counts[1] and not blank:
        on_fault(fault_messages.unequal_lines(source, target, counts))


class LineReader:
    """Reads lines from a file; the ready lines are limited by their characters.

    Attributes:
        path: The file.
        taken: Number of lines taken so far.
        has_text: Whether one of these lines is not blank.
        broken: Whether the file ended early because of a reported fault.
    """

    def __init__(self, path: Path, on_fault: FaultSink, encoding: Encoding = UNSET) -> None:
        """Open the file when the first lines are needed; ``on_fault`` receives its faults."""
        self.path = path
        self.taken = 0
        self.has_text = False
        self.broken = False
        self._on_fault = on_fault
        self._batches = line_batches(path, self._report, encoding)
        self._ready: list[str] = []
        self._characters = 0  # of the lines that are ready

    def fill(self, count: int) -> int:
        """Read lines, and return how many are ready: ``count``, fewer if long, 0 at the end."""
        while len(self._ready) < count and self._characters < CHUNK_CHARACTERS:
            batch = next(self._batches, None)
            if batch is None:
                break
            self._ready += batch
            self._characters += sum(map(len, batch))
        return min(count, len(self._ready))

    def take(self, count: int) -> list[str]:
        """Return the next lines, which must be ready."""
        lines, self._ready = self._ready[:count], self._ready[count:]
        self._characters -= sum(map(len, lines))
        self._count(lines)
        return lines

    def drain(self) -> None:
        """Read to the end to count the lines."""
        self._count(self._ready)
        self._ready = []
        for batch in self._batches:
            self._count(batch)

    def _count(self, lines: list[str]) -> None:
        self.taken += len(lines)
        self.has_text = self.has_text or has_text(lines)

    def _report(self, fault: DataFault) -> None:
        self._on_fault(fault)
        self.broken = self.broken or fault.kind == FaultKind.FILE
