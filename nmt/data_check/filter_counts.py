"""Which training pairs the filters would leave out, counted while the doctor reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nmt.config.added import as_before
from nmt.config.data import DataConfig, FiltersConfig
from nmt.config.plain import from_mapping
from nmt.data.filters import (
    KEPT,
    DropTable,
    Hashes,
    PairFilters,
    duplicate_keys,
    held_out_hashes,
)
from nmt.data.sources.pair_source import PairChunk, with_tag

_NONE = from_mapping(FiltersConfig, as_before(DataConfig)["filters"])


class HeldOut:
    """The sides of validation and test, as hashes."""

    def __init__(self) -> None:
        """Know of none."""
        self.hashes: Hashes = np.zeros(0, dtype=np.uint64)

    def add(self, chunk: PairChunk) -> Sequence[int]:
        """Add a chunk; return its pairs with text on both sides."""
        more = held_out_hashes([(chunk.sources, chunk.targets)])
        self.hashes = np.union1d(self.hashes, more)
        pairs = zip(chunk.sources, chunk.targets, strict=True)
        return [i for i, (one, other) in enumerate(pairs) if one.strip() and other.strip()]


class Filtering:
    """Judges training pairs as preparation would, and counts."""

    def __init__(
        self, config: FiltersConfig | None, languages: tuple[str, str], held_out: HeldOut
    ) -> None:
        """Judge by these filters; None: only blank pairs are left out."""
        self._config = config or _NONE
        self._filters = PairFilters(self._config, languages, held_out.hashes)
        self._table = DropTable()
        self._met: set[int] = set()

    def keep(self, chunk: PairChunk) -> Sequence[int]:
        """Return the pairs of a chunk that are not left out."""
        verdicts = self._filters.verdicts(chunk.sources, chunk.targets)
        kept: list[int] = np.flatnonzero(verdicts == KEPT).tolist()
        repeated = 0
        sources, targets = [chunk.sources[i] for i in kept], [chunk.targets[i] for i in kept]
        keys = duplicate_keys(self._config, with_tag(sources, chunk.tag), targets)
        if keys is not None:
            fresh = []
            for index, key in zip(kept, keys.tolist(), strict=True):
                if key not in self._met:
                    self._met.add(key)
                    fresh.append(index)
            repeated = len(kept) - len(fresh)
            kept = fresh
        self._table.count(verdicts[verdicts != KEPT])
        self._table.add("duplicate", repeated)
        self._table.add("kept", len(kept))
        return kept

    def too_long(self, pairs: int) -> None:
        """Take note of pairs that have too many pieces."""
        self._table.add("too_long", pairs)
        self._table.add("kept", -pairs)

    def to_mapping(self) -> Mapping[str, Any]:
        """Return the report's ``filters``."""
        return self._table.to_mapping()
