"""Counts the training pairs that the filters would drop, during a check."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nmt.config.filter_settings import FiltersConfig
from nmt.data.filters import (
    KEPT,
    FilterRule,
    Hashes,
    PairFilters,
    duplicate_keys,
    held_out_hashes,
)
from nmt.data.preparation.dropped_pairs import DropTable
from nmt.data.sources.pair_source import PairChunk, with_tag

_NO_FILTERS = FiltersConfig()


class HeldOutHashes:
    """Collects the hashes of the sides of validation and test.

    Attributes:
        hashes: The sorted hashes so far.
    """

    def __init__(self) -> None:
        """Start without hashes."""
        self.hashes: Hashes = np.zeros(0, dtype=np.uint64)

    def add(self, chunk: PairChunk) -> Sequence[int]:
        """Add a cleaned chunk; return the indices of its pairs with text on both sides."""
        more = held_out_hashes([(chunk.sources, chunk.targets)])
        self.hashes = np.union1d(self.hashes, more)
        pairs = zip(chunk.sources, chunk.targets, strict=True)
        return [i for i, (source, target) in enumerate(pairs) if source.strip() and target.strip()]


class FilterCounter:
    """Judges training pairs as preparation does, and counts the verdicts."""

    def __init__(
        self, config: FiltersConfig | None, languages: tuple[str, str], held_out: Hashes
    ) -> None:
        """Judge by these filters; None: only blank pairs are dropped."""
        self._config = config or _NO_FILTERS
        self._filters = PairFilters(self._config, languages, held_out)
        self._table = DropTable()
        self._known: set[int] = set()

    def keep(self, chunk: PairChunk) -> Sequence[int]:
        """Return the indices of the pairs of a cleaned chunk that no rule drops."""
        verdicts = self._filters.verdicts(chunk.sources, chunk.targets)
        kept: list[int] = np.flatnonzero(verdicts == KEPT).tolist()
        repeated = 0
        sources, targets = [chunk.sources[i] for i in kept], [chunk.targets[i] for i in kept]
        keys = duplicate_keys(self._config, with_tag(sources, chunk.tag), targets)
        if keys is not None:
            new = []
            for index, key in zip(kept, keys.tolist(), strict=True):
                if key not in self._known:
                    self._known.add(key)
                    new.append(index)
            repeated = len(kept) - len(new)
            kept = new
        self._table.count(verdicts[verdicts != KEPT])
        self._table.add(FilterRule.DUPLICATE, repeated)
        self._table.add(FilterRule.KEPT, len(kept))
        return kept

    def count_too_long(self, pairs: int) -> None:
        """Count this number of kept pairs as pairs with too many pieces."""
        self._table.add(FilterRule.TOO_LONG, pairs)
        self._table.add(FilterRule.KEPT, -pairs)

    def to_mapping(self) -> Mapping[str, Any]:
        """Return the ``filters`` of the report."""
        return self._table.to_mapping()
