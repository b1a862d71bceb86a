"""Which target pieces translate a source piece: IBM model 1 on pieces (Brown et al. 1993).

p(target | source) = product over j of 1 / (S + 1) sum over i of t(f_j | e_i), where e_0 is the
empty piece, which explains target pieces that translate nothing. Expectation maximization estimates
t. The table has an entry for each combination of pieces that occur in the same pair, so its size
does not depend on the size of the vocabularies. If the combinations exceed a limit, the rarest are
dropped (as by Manku & Motwani 2002).

Legend: S source and T target length of a pair, L links of a part, (S + 1) · T for each pair, C
combinations of a source and a target piece, F size of the target vocabulary.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nmt.data.encoded import EncodedCorpus
from nmt.text.special_tokens import PAD

EMPTY = PAD
"""The source piece that stands for nothing."""

ROUNDS = 5
"""Rounds of expectation maximization; t changes little after them."""

PART_LINKS = 1 << 20
"""Links of the pairs that are computed together, which bounds the memory of a step."""

MOST_COMBINATIONS = 1 << 24
"""Combinations in the table, 16 bytes each; the rarest are dropped beyond it."""

Advance = Callable[[int], None]
"""Called with the number of pairs of all rounds so far."""

Keys = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LexicalTable:
    """The probabilities t(target | source) of combinations of pieces.

    Attributes:
        keys: [C], sorted, source piece · F + target piece.
        probabilities: [C]; those of one source piece sum to 1.
        target_size: F.
    """

    keys: Keys
    probabilities: Values
    target_size: int

    def best(self, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the most probable target pieces of each source piece that occurred.

        Returns:
            Source pieces [N], sorted, and target pieces [N], the most probable ones first; at most
            ``count`` of each source piece.
        """
        sources, targets = np.divmod(self.keys, self.target_size)
        order = np.lexsort((targets, -self.probabilities, sources))
        sources, targets = sources[order], targets[order]
        starts = np.flatnonzero(np.diff(sources, prepend=-1))
        ranks = np.arange(len(sources)) - np.repeat(starts, np.diff(starts, append=len(sources)))
        kept = (ranks < count) & (sources != EMPTY)
        return sources[kept], targets[kept]


def learn_lexical_probabilities(
    pairs: EncodedCorpus,
    target_size: int,
    *,
    rounds: int = ROUNDS,
    limit: int = MOST_COMBINATIONS,
    part_links: int = PART_LINKS,
    advance: Advance = lambda done: None,
) -> LexicalTable:
    """Estimate t by expectation maximization, beginning with equal probabilities.

    Args:
        pairs: The training text. Pairs with an empty side are skipped.
        target_size: F.
        rounds: At least one.
        limit: The greatest C.
        part_links: See `PART_LINKS`; a longer pair is a part of its own.
        advance: Shows the progress.
    """
    growing = _GrowingTable(limit)
    for done, part in _parts(pairs, target_size, part_links):
        growing.add(*_summed(part.keys, part.uniform()))
        advance(done)
    keys, counts = growing.finished()
    for number in range(1, rounds):
        probabilities = _normalized(keys, counts, target_size)
        counts = np.zeros(len(keys))
        for done, part in _parts(pairs, target_size, part_links):
            unique, inverse = np.unique(part.keys, return_inverse=True)
            places = np.searchsorted(keys, unique).clip(max=max(0, len(keys) - 1))
            known = keys[places] == unique
            of_unique = np.where(known, probabilities[places], 0.0)
            expected = np.bincount(inverse, part.shares(of_unique[inverse]), len(unique))
            counts[places[known]] += expected[known]
            advance(number * len(pairs) + done)
    return LexicalTable(keys, _normalized(keys, counts, target_size), target_size)


@dataclass(frozen=True)
class _Part:
    """The links of some pairs: each target piece with all pieces of its source, and with none.

    Attributes:
        keys: [L], the combination of each link; the links of a target piece are adjacent.
        starts: [number of target pieces], where the links of each one begin.
        lengths: [number of target pieces], the number of its links.
    """

    keys: Keys
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def uniform(self) -> Values:
        """Return 1 / (S + 1) for each link."""
        return np.repeat(1.0 / self.lengths, self.lengths)

    def shares(self, probabilities: Values) -> Values:
        """Return the posterior probability of each link, given t of its combination, [L]."""
        totals = np.add.reduceat(probabilities, self.starts)
        inverse = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
        return probabilities * np.repeat(inverse, self.lengths)


def _parts(pairs: EncodedCorpus, target_size: int, part_links: int) -> Iterator[tuple[int, _Part]]:
    """Yield the links of all pairs in parts, each with the number of pairs up to its end."""
    sizes = pairs.source.lengths.astype(np.int64), pairs.target.lengths.astype(np.int64)
    links = np.where(sizes[0] > 0, (sizes[0] + 1) * sizes[1], 0)
    ends = np.cumsum(links)
    first = 0
    while first < len(pairs):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + part_links, side="right")))
        if ends[last - 1] > before:
            yield last, _part(pairs, first, last, target_size)
        first = last


def _part(pairs: EncodedCorpus, first: int, last: int, target_size: int) -> _Part:
    begins, ends = pairs.source.offsets[first:last], pairs.source.offsets[first + 1 : last + 1]
    source_lengths = (ends - begins).astype(np.int64)
    # A column of the empty piece stands before the source pieces of each pair.
    flat = pairs.source.ids[begins[0] : ends[-1]].astype(np.int64)
    sources = np.insert(flat, begins - begins[0], EMPTY)
    begins = begins - begins[0] + np.arange(last - first)
    offsets = pairs.target.offsets[first : last + 1]
    targets = pairs.target.ids[offsets[0] : offsets[-1]].astype(np.int64)
    pair = np.repeat(np.arange(last - first), np.diff(offsets))  # of each target piece
    has_source = source_lengths[pair] > 0
    targets, pair = targets[has_source], pair[has_source]
    lengths = source_lengths[pair] + 1
    starts = np.cumsum(lengths) - lengths
    places = np.arange(int(lengths.sum())) + np.repeat(begins[pair] - starts, lengths)
    return _Part(sources[places] * target_size + np.repeat(targets, lengths), starts, lengths)


class _GrowingTable:
    """Sums by key, of which the smallest are dropped beyond a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._keys, self._values = np.zeros(0, dtype=np.int64), np.zeros(0)
        self._pending: list[tuple[Keys, Values]] = []
        self._waiting = 0

    def add(self, keys: Keys, values: Values) -> None:
        """Add values to different keys."""
        self._pending.append((keys, values))
        self._waiting += len(keys)
        if self._waiting > max(4 * PART_LINKS, len(self._keys) // 2):
            self._merge()

    def finished(self) -> tuple[Keys, Values]:
        """Return the keys, sorted, and their sums."""
        self._merge()
        return self._keys, self._values

    def _merge(self) -> None:
        parts = [(self._keys, self._values), *self._pending]
        self._pending, self._waiting = [], 0
        keys, values = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
        self._keys, self._values = _summed(keys, values)
        if len(self._keys) > self._limit:
            kept = np.sort(np.argpartition(-self._values, self._limit)[: self._limit])
            self._keys, self._values = self._keys[kept], self._values[kept]


def _summed(keys: Keys, values: Values) -> tuple[Keys, Values]:
    """Return the different keys, sorted, and the sum of the values of each."""
    unique, inverse = np.unique(keys, return_inverse=True)
    return unique, np.bincount(inverse, values, len(unique)).astype(np.float64)


def _normalized(keys: Keys, counts: Values, target_size: int) -> Values:
    """Return the counts divided by their sum over each source piece."""
    if not len(keys):
        return counts
    starts = np.flatnonzero(np.diff(keys // target_size, prepend=-1))
    totals = np.repeat(np.add.reduceat(counts, starts), np.diff(starts, append=len(keys)))
    return np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
