"""Chooses the few shapes of bucketed batches, from how often each pair of lengths occurs.

Legend: L distinct pairs of lengths, K shapes, S source length, T target length, both with EOS.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.integer]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_SHAPES = 32
_SOURCE_ALLOWANCE = 2  # source pieces per batch, as a multiple of the target budget
_EDGES = 28  # widths per side among which the shapes are chosen
_MOST_SPLITS = 8  # source widths that share a target width
_TOLERANCE = 0.02  # more slots that are accepted in exchange for fewer shapes
_ROW_MULTIPLE, _MANY_ROWS = 8, 64  # from the second on, rows are a multiple of the first


@dataclass(frozen=True)
class Shapes:
    """Shapes of batches, from small to large; the last one holds any pair.

    Attributes:
        rows: [K].
        widths: [K, 2], slots per row: source and target.
    """

    rows: Ints
    widths: Ints

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def slots(self) -> Ints:
        """Slots per row, both sides, [K]."""
        total: Ints = self.widths.sum(axis=1)
        return total

    @cached_property
    def parents(self) -> list[int]:
        """The smallest larger shape that holds the pairs of each shape; -1 for the last, [K]."""
        found = []
        for index, width in enumerate(self.widths):
            larger = np.flatnonzero((self.widths[index + 1 :] >= width).all(axis=1))
            found.append(index + 1 + int(larger[0]) if len(larger) else -1)
        return found

    def of_lengths(self, lengths: Ints) -> Ints:
        """Return the smallest shape that holds a pair of each of these lengths [L, 2], [L]."""
        fits = (lengths[:, None] <= self.widths[None]).all(axis=2)
        first: Ints = fits.argmax(axis=1)  # shapes are in order of size
        return first

    def holding(self, rows: int, source: int, target: int) -> int | None:
        """Return the smallest shape that holds a batch; None: it is larger than all of them."""
        fits = (self.rows >= rows) & (self.widths >= (source, target)).all(axis=1)
        if not fits.any():
            return None
        return int(np.where(fits, self.rows * self.slots, np.iinfo(np.int64).max).argmin())

    def plan(self, counts: Counts) -> list[tuple[int, int]]:
        """Return how the pairs of each shape are used: full batches, and pairs left over.

        The rest of a shape moves to its parent, unless a batch of its own that is filled up with
        empty rows has fewer slots. Left-over pairs here are those of such a batch.

        Args:
            counts: [K], pairs of each shape.
        """
        waiting, found = np.array(counts, dtype=np.int64), []
        for index, (rows, slots, parent) in enumerate(
            zip(self.rows.tolist(), self.slots.tolist(), self.parents, strict=True)
        ):
            full, rest = divmod(int(waiting[index]), rows)
            if rest and parent >= 0 and rest * self.slots[parent] < rows * slots:
                waiting[parent] += rest
                rest = 0
            found.append((full, rest))
        return found

    def batches(self, counts: Counts) -> int:
        """Return the number of batches of an epoch with these pairs of each shape, [K]."""
        return sum(full + bool(rest) for full, rest in self.plan(counts))

    def total_slots(self, counts: Counts) -> int:
        """Return the slots of these batches, both sides."""
        made = np.array([full + bool(rest) for full, rest in self.plan(counts)])
        return int(made @ (self.rows * self.slots))

    def without(self, index: int) -> "Shapes":
        """Return all shapes but one."""
        return Shapes(np.delete(self.rows, index), np.delete(self.widths, index, axis=0))

    def part(self, world: int) -> "Shapes":
        """Return the shapes of the batches of one of ``world`` processes that share the rows."""
        return Shapes(-(-self.rows // world), self.widths)


def choose_shapes(
    lengths: Ints, counts: Floats | Counts, budget: int, most: int = MOST_SHAPES
) -> Shapes:
    """Return the shapes with which an epoch has few slots.

    Dynamic programming cuts the targets into bands, and the sources within each band, between
    candidate widths. More shapes fit the pairs more tightly, but leave more pairs over. Shapes are
    therefore removed one by one, each time the one without which an epoch has fewest slots. The
    result is the smallest of these sets whose slots are close to the fewest.

    Args:
        lengths: [L, 2], distinct source and target lengths, including EOS.
        counts: [L], pairs of an epoch with each.
        budget: Maximum number of target slots per batch, and half of that of source slots.
        most: Maximum number of shapes.
    """

    def slots(shapes: Shapes) -> int:
        per_shape = np.bincount(shapes.of_lengths(lengths), weights=counts, minlength=len(shapes))
        return shapes.total_slots(np.rint(per_shape).astype(np.int64))

    shapes = _with_rows(_Candidates.of(lengths, counts).best(most), budget)
    tried = [(slots(shapes), shapes)]
    while len(shapes) > 1:
        smaller = [shapes.without(index) for index in range(len(shapes) - 1)]
        tried.append(min(((slots(one), one) for one in smaller), key=lambda pair: pair[0]))
        shapes = tried[-1][1]
    bound = (1 + _TOLERANCE) * min(total for total, _ in tried)
    return next(shapes for total, shapes in reversed(tried) if total <= bound)


def _with_rows(widths: Ints, budget: int) -> Shapes:
    """Add the rows that a budget allows, and put the shapes in order."""
    widths = np.unique(widths, axis=0)
    widths = widths[np.lexsort((widths[:, 1], widths.sum(axis=1)))]
    allowed = _SOURCE_ALLOWANCE * budget // widths[:, 0], budget // widths[:, 1]
    rows = np.maximum(1, np.minimum(*allowed))
    rows = np.where(rows >= _MANY_ROWS, rows - rows % _ROW_MULTIPLE, rows)
    return Shapes(rows, widths)


@dataclass(frozen=True)
class _Candidates:
    """Candidate widths, and the pairs up to each of them.

    Attributes:
        sources: [E], ascending; the last one is the longest source.
        targets: [F].
        pairs: [F + 1, E + 1], pairs whose sides are at most as long as the widths before an index.
    """

    sources: Ints
    targets: Ints
    pairs: Floats

    @classmethod
    def of(cls, lengths: Ints, counts: Floats | Counts) -> "_Candidates":
        sources, targets = (_edges(side, counts) for side in lengths.T)
        grid = np.zeros((len(targets) + 1, len(sources) + 1))
        rows = 1 + np.searchsorted(targets, lengths[:, 1])
        np.add.at(grid, (rows, 1 + np.searchsorted(sources, lengths[:, 0])), counts)
        return cls(sources, targets, grid.cumsum(axis=0).cumsum(axis=1))

    def best(self, most: int) -> Ints:
        """Return the best widths of at most ``most`` shapes, [K, 2], the largest included."""
        costs, cuts = self._bands(min(most, _MOST_SPLITS))
        count = len(self.targets)
        best = np.full((most + 1, count + 1), np.inf)
        best[0, 0] = 0
        origin = np.zeros((most + 1, count + 1, 2), dtype=np.int64)
        for used in range(1, most + 1):
            for splits in range(1, min(used, len(costs)) + 1):
                total = best[used - splits][:, None] + costs[splits - 1]  # [begin, end]
                begin = total.argmin(axis=0)
                cost = total[begin, np.arange(count + 1)]
                better = cost < best[used]
                best[used][better] = cost[better]
                origin[used][better] = np.stack([begin, np.full_like(begin, splits)], 1)[better]
        return self._trace(origin, cuts, int(best[:, count].argmin()))

    def _bands(self, splits: int) -> tuple[Floats, Ints]:
        """Return costs and last cuts of each band of targets, by its number of source widths.

        Returns:
            Slots [splits, F + 1, F + 1] of the targets between two widths, and the cut before the
            last width, [splits, F + 1, F + 1, E + 1].
        """
        count, width = len(self.targets), len(self.sources)
        costs = np.full((splits, count + 1, count + 1), np.inf)
        cuts = np.zeros((splits, count + 1, count + 1, width + 1), dtype=np.int64)
        ends = np.arange(width + 1)
        for begin in range(count):
            for end in range(begin + 1, count + 1):
                pairs = self.pairs[end] - self.pairs[begin]  # [E + 1]
                between = (pairs[None, :] - pairs[:, None]) * self._widths(pairs)
                between[ends[:, None] >= ends[None, :]] = np.inf
                so_far = np.where(ends == 0, 0.0, np.inf)
                for split in range(splits):
                    total = so_far[:, None] + between
                    cuts[split, begin, end] = total.argmin(axis=0)
                    so_far = total.min(axis=0)
                    costs[split, begin, end] = so_far[-1] + pairs[-1] * self.targets[end - 1]
        return costs, cuts

    def _widths(self, pairs: Floats) -> Ints:
        """Return the longest source before each cut, [E + 1], given the pairs [E + 1] before it."""
        present = np.diff(pairs, prepend=0.0) > 0
        longest: Ints = np.maximum.accumulate(np.where(present, [0, *self.sources], 0))
        return longest

    def _trace(self, origin: Ints, cuts: Ints, used: int) -> Ints:
        widths, end = [(int(self.sources[-1]), int(self.targets[-1]))], len(self.targets)
        while used > 0:
            begin, splits = origin[used, end].tolist()
            edge = len(self.sources)
            for split in range(splits - 1, -1, -1):
                before = int(cuts[split, begin, end, edge])
                pairs = self.pairs[end] - self.pairs[begin]
                if pairs[edge] > pairs[before]:
                    source = int(self._widths(pairs)[edge])
                    widths.append((source, int(self.targets[end - 1])))
                edge = before
            used, end = used - splits, begin
        return np.array(widths, dtype=np.int64)


def _edges(side: Ints, counts: Floats | Counts) -> Ints:
    """Return widths between which lie equal shares of the slots of one side, and its maximum."""
    distinct, index = np.unique(side, return_inverse=True)
    if len(distinct) <= _EDGES:
        return distinct
    slots = np.bincount(index, weights=counts) * distinct
    shares = slots.cumsum() / slots.sum()
    found = np.searchsorted(shares, np.arange(1, _EDGES) / _EDGES)
    return np.unique([*distinct[found], distinct[-1]])
