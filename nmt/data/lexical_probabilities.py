"""Which target pieces translate a source piece: IBM model 1 on pieces (Brown et al. 1993).

p(f | e) ∝ ∏_{j=1..T} 1 / (S + 1) ∑_{i=0..S} t(f_j | e_i), where e_0 is the empty piece: target
pieces that translate nothing are linked to it. Expectation maximization estimates t. The table has
an entry for each combination of pieces that occur in the same pair, so its size does not depend on
the size of the vocabularies. If there are too many combinations, the rarest are dropped (as by
Manku & Motwani 2002).

Legend: e source, f target, S source and T target length of a pair, L links of a part, (S + 1) · T
for each pair, C combinations of a source and a target piece, F size of the target vocabulary.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nmt.data.encoded import EncodedCorpus
from nmt.text.special_tokens import PAD

EMPTY = PAD
"""The id of the empty source piece e_0."""

ROUNDS = 5
"""Rounds of expectation maximization; t changes little after them."""

PART_LINKS = 1 << 20
"""Maximum number of links that are computed together; it bounds the memory."""

MOST_COMBINATIONS = 1 << 24
"""Maximum number of combinations in the table, of 16 bytes each."""

Advance = Callable[[int], None]
"""Called with the number of pairs processed so far; each round counts all pairs again."""

Keys = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LexicalTable:
    """The probabilities t(f | e) of combinations of pieces.

    Attributes:
        keys: [C], source piece · F + target piece, ascending.
        probabilities: [C]; those of one source piece sum to 1.
        target_size: F.
    """

    keys: Keys
    probabilities: Values
    target_size: int

    def best(self, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return at most ``count`` target pieces of each source piece, the most probable ones.

        Returns:
            Source pieces [N], ascending, and target pieces [N]; those of a source piece are ordered
            from the most to the least probable. The empty piece is left out.
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
    """Estimate t by expectation maximization, from equal probabilities.

    Args:
        pairs: The training text. Pairs with an empty side are skipped.
        target_size: F.
        rounds: Number of rounds, at least 1.
        limit: The largest C; the rarest combinations are dropped.
        part_links: See `PART_LINKS`; a pair with more links is computed alone.
        advance: Receives the progress.
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
    """The links of some pairs: each target piece with e_0 and with each piece of its source.

    Attributes:
        keys: [L], the combination of each link; the links of a target piece are adjacent.
        starts: [target pieces], where the links of each target piece begin.
        lengths: [target pieces], the number of links of each target piece.
    """

    keys: Keys
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def uniform(self) -> Values:
        """Return 1 / (S + 1) for each link, [L]."""
        return np.repeat(1.0 / self.lengths, self.lengths)

    def shares(self, probabilities: Values) -> Values:
        """Return the posterior probability of each link, [L], from t of its combination, [L]."""
        totals = np.add.reduceat(probabilities, self.starts)
        inverse = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
        return probabilities * np.repeat(inverse, self.lengths)


def _parts(pairs: EncodedCorpus, target_size: int, part_links: int) -> Iterator[tuple[int, _Part]]:
    """Yield the links of all pairs in parts, each after the number of pairs up to its end."""
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
    """Sums by key; if there are more than a limit, the smallest sums are dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._keys, self._values = np.zeros(0, dtype=np.int64), np.zeros(0)
        self._pending: list[tuple[Keys, Values]] = []
        self._waiting = 0

    def add(self, keys: Keys, values: Values) -> None:
        """Add a value to the sum of each key; the keys are distinct."""
        self._pending.append((keys, values))
        self._waiting += len(keys)
        if self._waiting > max(4 * PART_LINKS, len(self._keys) // 2):
            self._merge()

    def finished(self) -> tuple[Keys, Values]:
        """Return the keys, ascending, and their sums."""
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
    """Return the distinct keys, ascending, and the sum of the values of each."""
    unique, inverse = np.unique(keys, return_inverse=True)
    return unique, np.bincount(inverse, values, len(unique)).astype(np.float64)


def _normalized(keys: Keys, counts: Values, target_size: int) -> Values:
    """Return the counts [C] divided by the sum of the counts of the same source piece."""
    if not len(keys):
        return counts
    starts = np.flatnonzero(np.diff(keys // target_size, prepend=-1))
    totals = np.repeat(np.add.reduceat(counts, starts), np.diff(starts, append=len(keys)))
    return np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
