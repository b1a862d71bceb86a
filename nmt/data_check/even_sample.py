"""An evenly spaced sample of a stream of pairs whose length is unknown."""

from collections.abc import Sequence

from nmt.data.locations import Location, excerpt
from nmt.data.sources.pair_source import PairChunk, with_tag

MOST_SAMPLED = 200_000
"""Maximum number of pairs on which the tokenizer of the report is trained."""


class EvenSample:
    """A sample of a stream: its pairs 0, s, 2 s, ..., where s is a power of 2.

    s is the smallest power with which the sample has at most the given size.

    Attributes:
        seen: Number of pairs offered so far.
        sources: The source sides in the sample.
        targets: The target sides in the sample.
        tagged: Whether a pair was offered whose source begins with a tag of its corpus.
    """

    def __init__(self, size: int) -> None:
        """Keep at most ``size`` pairs."""
        self.seen = 0
        self.tagged = False
        self.sources: list[str] = []
        self.targets: list[str] = []
        self._lines: list[tuple[str, str, int]] = []
        self._size = size
        self._step = 1

    def __len__(self) -> int:
        """Return the number of pairs in the sample."""
        return len(self.sources)

    def add(self, chunk: PairChunk, indices: Sequence[int]) -> None:
        """Offer these pairs of a chunk."""
        sources = with_tag(chunk.sources, chunk.tag)
        self.tagged |= chunk.tag is not None
        for index in indices:
            if self.seen % self._step == 0:
                self.sources.append(sources[index])
                self.targets.append(chunk.targets[index])
                self._lines.append((chunk.source_file, chunk.target_file, chunk.lines[index]))
                if len(self.sources) > self._size:
                    self._halve()
            self.seen += 1

    def side(self, name: str) -> list[str]:
        """Return the texts of one side, ``source`` or ``target``."""
        return self.sources if name == "source" else self.targets

    def location(self, index: int, side: str) -> Location:
        """Return the location of a pair of the sample."""
        source_file, target_file, line = self._lines[index]
        file = source_file if side == "source" else target_file
        return Location(file, line, excerpt(self.side(side)[index]))

    def pair_location(self, index: int) -> Location:
        """Return the location of a pair of the sample; its text has both sides."""
        _, target_file, line = self._lines[index]
        text = f"{excerpt(self.sources[index])} | {excerpt(self.targets[index])}"
        return Location(target_file, line, text)

    def _halve(self) -> None:
        self.sources, self.targets = self.sources[::2], self.targets[::2]
        self._lines = self._lines[::2]
        self._step *= 2
