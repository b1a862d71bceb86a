"""Pairs sorted by both sides' lengths, and cut where a batch is full."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.integer]
Lengths = npt.NDArray[np.integer]

_SOURCE_ALLOWANCE = 2  # a batch may hold this many times its target budget of source pieces
_FULL = 0.875  # of the budget: from here on a batch ends where the lengths change
_CHUNK = 1 << 20  # pairs whose lengths are looked at together


@dataclass(frozen=True)
class LengthKeys:
    """Both lengths of every pair in one number, by which pairs of like lengths sort together.

    Pairs sort by the length L of their longer side; among equals by source minus target, to and
    fro, so that the end of one length is like the beginning of the next. Both sides are then alike
    in a batch. There are 2 L - 1 such differences, so the keys of L begin at (L - 1) squared, and
    16 bits suffice for sides of up to 255 pieces.

    Attributes:
        keys: One a pair.
    """

    keys: npt.NDArray[np.integer]

    @classmethod
    def of_lengths(cls, sources: Lengths, targets: Lengths) -> "LengthKeys":
        """Make the keys of pairs with these numbers of pieces, EOS not counted."""
        return cls(_keys(np.asarray(sources), np.asarray(targets)))

    @classmethod
    def of_offsets(
        cls, sources: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]
    ) -> "LengthKeys":
        """Make the keys of a corpus, given where its sequences begin, a chunk at a time."""
        chunks = [
            _keys(*(np.diff(side[start : start + _CHUNK + 1]) for side in (sources, targets)))
            for start in range(0, len(sources) - 1, _CHUNK)
        ]
        return cls(np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.uint16))

    def count(self, members: Indices) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the keys that some pairs have, ascending, and how many have each."""
        keys = self.keys[members]
        if keys.dtype != np.uint16:
            found, counts = np.unique(keys, return_counts=True)
            return found.astype(np.int64), counts
        histogram = np.zeros(1 << 16, dtype=np.int64)
        for start in range(0, len(keys), _CHUNK):
            histogram += np.bincount(keys[start : start + _CHUNK], minlength=1 << 16)
        found = np.flatnonzero(histogram)
        return found, histogram[found]

    @staticmethod
    def lengths(
        keys: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return source and target lengths, EOS counted, that keys stand for."""
        longer = np.sqrt(keys.astype(np.float64)).astype(np.int64) + 1
        difference = keys - (longer - 1) ** 2 - (longer - 1)
        difference = np.where(longer % 2 == 0, difference, -difference)
        return longer + np.minimum(difference, 0), longer - np.maximum(difference, 0)


def _keys(sources: Lengths, targets: Lengths) -> npt.NDArray[np.integer]:
    sources, targets = sources.astype(np.int64) + 1, targets.astype(np.int64) + 1
    longer = np.maximum(sources, targets)
    difference = np.where(longer % 2 == 0, sources - targets, targets - sources)
    keys = (longer - 1) ** 2 + (longer - 1) + difference
    greatest = int(longer.max(initial=1)) ** 2 - 1
    return keys.astype(np.min_scalar_type(max(greatest, 256)))


@dataclass(frozen=True)
class Cuts:
    """Batches of sorted pairs, in order.

    Attributes:
        rows: Pairs of each batch.
        widths: [batches, 2], places of a row: source and target, EOS counted.
    """

    rows: npt.NDArray[np.int64]
    widths: npt.NDArray[np.int64]


def cut_lengths(lengths: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], budget: int) -> Cuts:
    """Cut sorted pairs into batches that keep to a budget.

    Args:
        lengths: [kinds, 2] source and target length, EOS counted, of pairs that sort in this order.
        counts: [kinds], pairs of each.
        budget: Target pieces a batch may hold, pads and EOS included, and half of the source
            pieces it may hold; a longer pair stands alone.
    """
    rows, widths = [], []
    held, source, target = 0, 0, 0
    for (wide, tall), count in zip(lengths.tolist(), counts.tolist(), strict=True):
        while count:
            both = max(source, wide), max(target, tall)
            fits = max(1, min(budget // both[1], _SOURCE_ALLOWANCE * budget // both[0])) - held
            if fits >= count:
                held, source, target, count = held + count, *both, 0
                continue
            if held and (fits <= 0 or _share(held, source, target, budget) >= _FULL):
                rows.append(held)
                widths.append((source, target))
            else:
                rows.append(held + fits)
                widths.append(both)
                count -= fits
            held, source, target = 0, 0, 0
    if held:
        rows.append(held)
        widths.append((source, target))
    return Cuts(np.array(rows, dtype=np.int64), np.array(widths, dtype=np.int64).reshape(-1, 2))


def _share(rows: int, source: int, target: int, budget: int) -> float:
    """Return how much of its budget a batch has taken."""
    return rows * max(target, source / _SOURCE_ALLOWANCE) / budget


def batches_by_key(keys: LengthKeys, order: Indices, budget: int) -> list[Indices]:
    """Cut pairs into batches of like length, short pairs first; ``order`` decides among equals."""
    found, counts = keys.count(order)
    cuts = cut_lengths(np.stack(keys.lengths(found), axis=1), counts, budget)
    by_length = order[np.argsort(keys.keys[order], kind="stable")]
    ends = np.cumsum(cuts.rows).tolist()
    return [by_length[end - rows : end] for rows, end in zip(cuts.rows.tolist(), ends, strict=True)]


def batches_by_length(
    source_lengths: Lengths, target_lengths: Lengths, order: Indices, budget: int
) -> list[Indices]:
    """Cut a corpus into batches of like length.

    Args:
        source_lengths: Pieces of each pair's source, without EOS.
        target_lengths: Pieces of each pair's target, without EOS.
        order: A permutation of the pairs; it decides among pairs of equal lengths, so that a
            shuffled order gives new company every epoch.
        budget: Target pieces a batch may hold, pads and EOS included, and half of the source
            pieces it may hold; a longer pair stands alone.

    Returns:
        Arrays of pair indices, short pairs first.
    """
    return batches_by_key(LengthKeys.of_lengths(source_lengths, target_lengths), order, budget)
