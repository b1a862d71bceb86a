"""The inspection of a whole split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nmt.data.pair_outlines import TextOutline, outline_chunk
from nmt.data.sources.pair_source import PairChunk, clean_chunk
from nmt.data_check.chunk_inspection import ChunkInspection, Key, SideInspection, inspect_chunk
from nmt.data_check.histograms import COUNT_EDGES, RATIO_EDGES
from nmt.data_check.occurrences import Occurrences


@dataclass
class Inspection:
    """The inspections of all chunks of a split. It takes about 30 bytes per pair.

    Attributes:
        outline: Lengths, signatures and line numbers of all pairs.
        found: The broken rules.
        highest_ratio: The largest ratio of target to source characters.
        ratio_histogram: Number of pairs by this ratio, in the bins of `RATIO_EDGES`.
    """

    outline: TextOutline = field(default_factory=TextOutline)
    found: dict[Key, Occurrences] = field(default_factory=dict)
    highest_ratio: float = 0.0
    ratio_histogram: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(RATIO_EDGES), dtype=np.int64)
    )
    _parts: list[ChunkInspection] = field(default_factory=list)

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return self.outline.pairs

    def inspect(self, raw: PairChunk, languages: tuple[str, str]) -> PairChunk:
        """Outline and inspect the next chunk in this process; return it cleaned."""
        clean = clean_chunk(raw)
        self.outline.absorb(outline_chunk(clean))
        self.absorb(inspect_chunk(raw, clean, languages=languages))
        return clean

    def absorb(self, part: ChunkInspection) -> None:
        """Add the inspection of the next chunk, but not its outline."""
        self._parts.append(part)
        self.highest_ratio = max(self.highest_ratio, part.highest_ratio)
        self.ratio_histogram += part.ratio_histogram
        for key, occurrences in part.found.items():
            self.found.setdefault(key, Occurrences()).absorb(occurrences)
        part.found = {}

    def side(self, name: str) -> SideInspection:
        """Return one side of all pairs, ``source`` or ``target``."""
        sides: list[SideInspection] = [getattr(part, name) for part in self._parts]
        histogram = np.zeros(len(COUNT_EDGES), dtype=np.int64)
        for side in sides:
            histogram += side.words_histogram
        return SideInspection(
            _joined([side.hashes for side in sides]),
            sum(side.words for side in sides),
            sum(side.characters for side in sides),
            max((side.longest_words for side in sides), default=0),
            histogram,
            dict(sum((Counter(side.beyond_ascii) for side in sides), Counter())),
        )

    def pair_hashes(self) -> npt.NDArray[np.uint64]:
        """Return the hash of each pair, [pairs]."""
        return _joined([part.pair_hashes for part in self._parts])


def _joined(hashes: Sequence[npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64]:
    return np.concatenate([np.zeros(0, dtype=np.uint64), *hashes])
