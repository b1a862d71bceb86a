"""Two plain text files: line i of both is a pair."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.data.sources import fault_messages
from nmt.data.sources.fingerprint import fingerprint_files
from nmt.data.sources.pair_source import DataFault, FaultSink, PairChunk, refuse
from nmt.data.sources.text_lines import has_text, line_batches


@dataclass(frozen=True)
class LinePairs:
    """Two text files, or shards of them: source file i goes with target file i.

    Attributes:
        sources: The files of the source side, in order.
        targets: The files of the target side, as many.
    """

    sources: Sequence[Path]
    targets: Sequence[Path]

    def __post_init__(self) -> None:
        assert len(self.sources) == len(self.targets) > 0

    @property
    def name(self) -> str:
        """The two files, or the first two of the shards and how many more there are."""
        more = len(self.sources) - 1
        both = f"{self.sources[0]} and {self.targets[0]}"
        return f"{both} and {more} more of each" if more else both

    def fingerprint(self) -> str:
        """Return a hash of both sides' files.

        Raises:
            UserError: A file cannot be read.
        """
        return fingerprint_files("lines", [*self.sources, *self.targets])

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Yield line i of both files together, at most ``size`` pairs a chunk.

        Where one file is longer, that is told once the pairs of the shorter one are out.
        """
        for source, target in zip(self.sources, self.targets, strict=True):
            yield from _pairs(source, target, size, on_fault)


def _pairs(source: Path, target: Path, size: int, on_fault: FaultSink) -> Iterator[PairChunk]:
    readers = LineReader(source, on_fault), LineReader(target, on_fault)
    done = 0
    while True:
        sides = [reader.take(size) for reader in readers]
        pairs = min(map(len, sides))
        if pairs:
            numbers = list(range(done + 1, done + pairs + 1))
            yield PairChunk(str(source), str(target), numbers, sides[0][:pairs], sides[1][:pairs])
            done += pairs
        if pairs < size:
            break
    for reader in readers:
        reader.drain()
    if any(reader.broken for reader in readers):
        return
    blank = [reader.path for reader in readers if not reader.met_text]
    for path in blank:
        on_fault(fault_messages.no_text(path))
    counts = readers[0].taken, readers[1].taken
    if counts[0] != counts[1] and not blank:
        on_fault(fault_messages.unequal_lines(source, target, counts))


class LineReader:
    """Takes as many lines from a file as are asked for.

    Attributes:
        path: The file.
        taken: Lines so far.
        met_text: Whether one of them was more than blank.
        broken: Whether the file ended before its time, by a fault that was told.
    """

    def __init__(self, path: Path, on_fault: FaultSink) -> None:
        """Read nothing yet."""
        self.path = path
        self.taken = 0
        self.met_text = False
        self.broken = False
        self._on_fault = on_fault
        self._batches = line_batches(path, self._tell)
        self._ready: list[str] = []

    def take(self, count: int) -> list[str]:
        """Return the next lines: fewer than asked for only where the file ends."""
        while len(self._ready) < count and (batch := next(self._batches, None)) is not None:
            self._ready += batch
        lines, self._ready = self._ready[:count], self._ready[count:]
        self._note(lines)
        return lines

    def drain(self) -> None:
        """Read to the end, to know how many lines there are."""
        self._note(self._ready)
        self._ready = []
        for batch in self._batches:
            self._note(batch)

    def _note(self, lines: list[str]) -> None:
        self.taken += len(lines)
        self.met_text = self.met_text or has_text(lines)

    def _tell(self, fault: DataFault) -> None:
        self._on_fault(fault)
        self.broken = self.broken or fault.rule != "not_utf8"
