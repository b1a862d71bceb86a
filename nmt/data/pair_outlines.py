"""The length and the signature of each text, 6 bytes per pair, and the line of each pair.

They suffice to find sides that do not belong together.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nmt.data.locations import Location
from nmt.data.sources.pair_source import PairChunk
from nmt.data.text_signatures import text_signatures

SIDES = ("source", "target")
_LONGEST = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class SideOutline:
    """The outline of one side of some pairs.

    Attributes:
        lengths: [pairs], characters of each text, at most 65,535; 0 for a blank text.
        signatures: [pairs], the final punctuation and digits of each text, see `text_signatures`.
    """

    lengths: npt.NDArray[np.uint16]
    signatures: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.lengths)

    def part(self, pairs: range) -> "SideOutline":
        """Return the outline of consecutive pairs."""
        chosen = slice(pairs.start, pairs.stop)
        return SideOutline(self.lengths[chosen], self.signatures[chosen])


@dataclass(frozen=True)
class ChunkOutline:
    """The outline of a chunk of pairs.

    Attributes:
        source_file: File of the source sides.
        target_file: File of the target sides.
        lines: [pairs], line number of each pair; a range if they are consecutive.
        source: Outline of the source side.
        target: Outline of the target side.
    """

    source_file: str
    target_file: str
    lines: range | npt.NDArray[np.uint32]
    source: SideOutline
    target: SideOutline

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.source)


def outline_chunk(clean: PairChunk) -> ChunkOutline:
    """Return the outline of a chunk whose texts are clean (see `clean_chunk`)."""
    return ChunkOutline(
        clean.source_file,
        clean.target_file,
        _compact(clean.lines),
        _outline(clean.sources),
        _outline(clean.targets),
    )


def _outline(texts: Sequence[str]) -> SideOutline:
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    lengths[np.array([not text or text.isspace() for text in texts], dtype=bool)] = 0
    return SideOutline(np.minimum(lengths, _LONGEST).astype(np.uint16), text_signatures(texts))


def _compact(lines: Sequence[int]) -> range | npt.NDArray[np.uint32]:
    if not lines:
        return range(0)
    if lines[-1] - lines[0] == len(lines) - 1:  # line numbers ascend, so none is missing
        return range(lines[0], lines[-1] + 1)
    return np.asarray(lines, dtype=np.uint32)


@dataclass
class TextOutline:
    """The outline of all pairs of a split, collected chunk by chunk."""

    pairs: int = 0
    _chunks: list[ChunkOutline] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)

    def absorb(self, chunk: ChunkOutline) -> None:
        """Add the next chunk."""
        self._starts.append(self.pairs)
        self._chunks.append(chunk)
        self.pairs += len(chunk)

    def side(self, name: str) -> SideOutline:
        """Return one side of all pairs, ``source`` or ``target``."""
        sides: list[SideOutline] = [getattr(chunk, name) for chunk in self._chunks]
        return SideOutline(
            np.concatenate([np.zeros(0, np.uint16), *(side.lengths for side in sides)]),
            np.concatenate([np.zeros(0, np.uint8), *(side.signatures for side in sides)]),
        )

    def with_text(self) -> npt.NDArray[np.int64]:
        """Return the indices of the pairs with text on both sides."""
        source, target = (self.side(name).lengths for name in SIDES)
        return np.flatnonzero((source > 0) & (target > 0))

    def files(self) -> list[tuple[str, str]]:
        """Return each pair of source and target file once, in the order they were read."""
        return list(dict.fromkeys((c.source_file, c.target_file) for c in self._chunks))

    def pairs_of(self, file: str) -> range:
        """Return the indices from the first to the last pair with a side in this file."""
        chunks = [
            number
            for number, chunk in enumerate(self._chunks)
            if file in (chunk.source_file, chunk.target_file)
        ]
        if not chunks:
            return range(0)
        last = chunks[-1]
        return range(self._starts[chunks[0]], self._starts[last] + len(self._chunks[last]))

    def location(self, index: int, side: str = "target", text: str = "") -> Location:
        """Return the location of the pair with this index, counted from 0."""
        number = bisect_right(self._starts, index) - 1
        chunk = self._chunks[number]
        file = chunk.source_file if side == "source" else chunk.target_file
        return Location(file, int(chunk.lines[index - self._starts[number]]), text)
