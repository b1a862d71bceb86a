"""Batches of pairs of similar length: pairs are sorted by both lengths, then cut by a budget."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.integer]
Lengths = npt.NDArray[np.integer]

_SOURCE_ALLOWANCE = 2  # source pieces per batch, as a multiple of the target budget
_FULL = 0.875  # share of the budget from which a batch may end where the lengths change
_CHUNK = 1 << 20  # pairs whose lengths are processed together


@dataclass(frozen=True)
class LengthKeys:
    """One sort key per pair that encodes both lengths, so that similar pairs are neighbors.

    Pairs are sorted by the length L of their longer side, then by D = source - target length. D
    ascends for even L and descends for odd L, so that the last pairs of one L resemble the first of
    the next. Both sides then vary little within a batch. D has 2 L - 1 values, so the keys of L
    start at (L - 1)². 16 bits suffice for sides of up to 255 pieces and EOS.

    Attributes:
        keys: [pairs], one key per pair.
    """

    keys: npt.NDArray[np.integer]

    @classmethod
    def of_lengths(cls, sources: Lengths, targets: Lengths) -> "LengthKeys":
        """Make the keys of pairs with these lengths [pairs], without EOS."""
        return cls(_keys(np.asarray(sources), np.asarray(targets)))

    @classmethod
    def of_offsets(
        cls, sources: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]
    ) -> "LengthKeys":
        """Make the keys of a corpus from the offsets [pairs + 1] of both sides, in parts."""
        chunks = [
            _keys(*(np.diff(side[start : start + _CHUNK + 1]) for side in (sources, targets)))
            for start in range(0, len(sources) - 1, _CHUNK)
        ]
        return cls(np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.uint16))

    def count(
        self, members: Indices | slice
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the distinct keys of some pairs, ascending, and the number of pairs of each."""
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
        """Return the source and target lengths, including EOS, of keys [N], each [N]."""
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
class BatchShapes:
    """The shapes of consecutive batches of sorted pairs.

    Attributes:
        rows: [batches], number of pairs.
        widths: [batches, 2], slots per row: source and target, including EOS.
    """

    rows: npt.NDArray[np.int64]
    widths: npt.NDArray[np.int64]


def batch_shapes(
    lengths: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], budget: int
) -> BatchShapes:
    """Cut sorted pairs into batches within a budget.

    Args:
        lengths: [L, 2], distinct source and target lengths, including EOS, in sort order.
        counts: [L], number of pairs of each.
        budget: Maximum number of target slots per batch, including PAD and EOS. Twice as many
            source slots are allowed. A longer pair forms a batch by itself.
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
    return BatchShapes(
        np.array(rows, dtype=np.int64), np.array(widths, dtype=np.int64).reshape(-1, 2)
    )


def _share(rows: int, source: int, target: int, budget: int) -> float:
    """Return the share of the budget that a batch uses, on the side where it is larger."""
    return rows * max(target, source / _SOURCE_ALLOWANCE) / budget


def batches_by_key(keys: LengthKeys, order: Indices, budget: int) -> list[Indices]:
    """Cut pairs into batches of similar length, short pairs first; ``order`` breaks ties."""
    found, counts = keys.count(order)
    shapes = batch_shapes(np.stack(keys.lengths(found), axis=1), counts, budget)
    by_length = order[np.argsort(keys.keys[order], kind="stable")]
    ends = np.cumsum(shapes.rows).tolist()
    return [
        by_length[end - rows : end] for rows, end in zip(shapes.rows.tolist(), ends, strict=True)
    ]


def batches_by_length(
    source_lengths: Lengths, target_lengths: Lengths, order: Indices, budget: int
) -> list[Indices]:
    """Cut a corpus into batches of similar length.

    Args:
        source_lengths: [pairs], source pieces without EOS.
        target_lengths: [pairs], target pieces without EOS.
        order: A permutation of the pairs. It breaks ties between pairs of equal lengths, so that a
            shuffled order groups them differently in every epoch.
        budget: Maximum number of target slots per batch, including PAD and EOS. Twice as many
            source slots are allowed. A longer pair forms a batch by itself.

    Returns:
        Arrays of pair indices, short pairs first.
    """
    return batches_by_key(LengthKeys.of_lengths(source_lengths, target_lengths), order, budget)
